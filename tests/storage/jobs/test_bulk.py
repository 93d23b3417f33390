"""Many jobs at once, on each database."""

from __future__ import annotations

import pytest

from statemachine_engine.storage import jobs
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.jobs import NewJob, bulk
from statemachine_engine.storage.jobs.bulk import Choice
from tests.support.factories import add_jobs, claimed
from tests.support.manual_clock import ManualClock


def status_of(db: Database) -> dict[str, str]:
    return {job.job_id: job.status for job in bulk.each(db, Choice())}


def test_jobs_are_added_and_those_that_are_there_are_left_out(db: Database) -> None:
    jobs.enqueue(db, "job-1", "old")
    jobs.enqueue(db, "keyed", "old", unique_key="k")

    rows = [NewJob("work", f"job-{number}", data={"n": number}) for number in range(4)]
    added = bulk.add(db, [*rows, NewJob("work", "job-3"), NewJob("work", "another", unique_key="k"), NewJob("work")])

    assert added == 4
    found = {job.job_id: job for job in bulk.each(db, Choice(job_type="work"))}
    assert list(found)[:3] == ["job-0", "job-2", "job-3"]
    assert (found["job-3"].data, found["job-3"].status, found["job-3"].max_attempts) == ({"n": 3}, "pending", 3)


def test_a_job_for_later_is_scheduled(db: Database, clock: ManualClock) -> None:
    bulk.add(db, [NewJob("work", "later", due_at=clock.now() + 60), NewJob("work", "delayed", delay_s=5)])

    assert status_of(db) == {"later": "scheduled", "delayed": "scheduled"}


def test_any_number_of_jobs_is_read_in_order(db: Database) -> None:
    names = add_jobs(db, 7)

    assert [job.job_id for job in bulk.each(db, Choice(), chunk=3)] == names
    assert [job.job_id for job in bulk.each(db, Choice(), chunk=7)] == names
    assert list(bulk.each(db, Choice(status="failed"), chunk=3)) == []


def test_a_choice_is_made_by_status_type_owner_and_age(db: Database, clock: ManualClock) -> None:
    add_jobs(db, 1)
    clock.advance(100)
    jobs.enqueue(db, "new", "other", machine_type="m")
    claimed(db, owner="w", job_type="work")

    def meant(choice: Choice) -> list[str]:
        return [job.job_id for job in bulk.each(db, choice)]

    assert meant(Choice(older_than_s=50)) == meant(Choice(owner="w")) == meant(Choice(status="processing")) == ["job-0"]
    assert meant(Choice(job_type="other")) == meant(Choice(machine_type="m")) == ["new"]
    assert Choice(owner="w").names_something
    assert not Choice().names_something


def test_failed_cancelled_and_held_jobs_are_tried_again(db: Database) -> None:
    add_jobs(db, 5)
    held = claimed(db)
    jobs.fail(db, "job-1", "broken")
    jobs.cancel(db, "job-2")
    jobs.complete(db, "job-3")

    assert bulk.count(db, Choice(), bulk.RETRIABLE) == 3
    assert bulk.retry(db, Choice(status="failed")) == 1
    assert bulk.retry(db, Choice(job_type="nothing")) == 0
    assert bulk.retry(db, Choice()) == 2
    expected = dict.fromkeys(("job-0", "job-1", "job-2", "job-4"), "pending") | {"job-3": "completed"}
    assert status_of(db) == expected
    again = jobs.get(db, held.job_id)
    assert again is not None
    assert (again.attempts, again.owner, again.lease_until) == (0, None, None)


def test_waiting_and_held_jobs_are_cancelled(db: Database) -> None:
    add_jobs(db, 3)
    claimed(db)
    jobs.complete(db, "job-1")

    assert bulk.cancel(db, Choice()) == 2
    assert status_of(db) == {"job-0": "cancelled", "job-1": "completed", "job-2": "cancelled"}


@pytest.mark.parametrize("owner", ["w", None])
def test_held_jobs_are_given_back_with_their_attempt(db: Database, owner: str | None) -> None:
    add_jobs(db, 2)
    claimed(db, owner="w")

    assert bulk.release(db, Choice(owner=owner)) == 1
    assert status_of(db) == {"job-0": "pending", "job-1": "pending"}
    assert claimed(db).attempts == 1
