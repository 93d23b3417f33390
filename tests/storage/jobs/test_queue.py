"""The verbs of the job queue, on every database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from statemachine_engine.storage import jobs
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import JobExists, JobNotFound, LeaseLost, WrongJobState
from statemachine_engine.storage.jobs import Job
from tests.support.factories import add_jobs, claimed
from tests.support.manual_clock import ManualClock


def status(db: Database, job_id: str) -> str:
    job = jobs.get(db, job_id)
    assert job is not None
    return job.status


def test_an_added_job_is_pending_and_keeps_all_that_was_said(db: Database, clock: ManualClock) -> None:
    job = jobs.enqueue(
        db, "j1", "video", machine_type="gpu", data={"a": [1, None]}, source_job_id="j0", priority=2, metadata={"m": 1}
    )

    assert jobs.get(db, "j1") == job
    assert (job.status, job.machine_type, job.data, job.source_job_id) == ("pending", "gpu", {"a": [1, None]}, "j0")
    assert (job.priority, job.metadata, job.attempts, job.max_attempts) == (2, {"m": 1}, 0, 3)
    assert job.created_at == "2027-01-15 08:00:00.000"


@pytest.mark.parametrize("data", [None, [], {}, "text", 0, False, [1, {"ä": "\x00 \ud800 🎬"}]])
def test_any_json_is_a_payload(db: Database, data: object) -> None:
    jobs.enqueue(db, "j1", "work", data=data)

    assert claimed(db).data == data


def test_a_second_job_of_the_same_id_is_refused(db: Database) -> None:
    jobs.enqueue(db, "j1", "work")

    with pytest.raises(JobExists, match="j1"):
        jobs.enqueue(db, "j1", "other")


def test_without_an_id_one_is_made_up(db: Database) -> None:
    assert len({jobs.enqueue(db, None, "work").job_id for _ in range(20)}) == 20


def test_many_jobs_are_added_together_or_not_at_all(db: Database) -> None:
    jobs.enqueue(db, "taken", "work")

    with pytest.raises(JobExists, match="taken"):
        jobs.enqueue_many(db, [jobs.NewJob("work", "new"), jobs.NewJob("work", "taken")])
    assert jobs.counts(db)["pending"] == 1
    assert jobs.enqueue_many(db, [jobs.NewJob("work", "a"), jobs.NewJob("work", "b")]) == 2


def test_a_unique_key_yields_the_unfinished_job_that_carries_it(db: Database) -> None:
    first = jobs.enqueue(db, None, "work", unique_key="nightly")

    assert jobs.enqueue(db, None, "work", unique_key="nightly").job_id == first.job_id
    assert jobs.enqueue_many(db, [jobs.NewJob("work", unique_key="nightly")]) == 0
    jobs.complete(db, first.job_id)
    assert jobs.enqueue(db, None, "work", unique_key="nightly").job_id != first.job_id


def test_claims_go_by_priority_then_due_time_then_insertion(db: Database, clock: ManualClock) -> None:
    jobs.enqueue(db, "late", "work", delay_s=5)
    jobs.enqueue(db, "first", "work")
    jobs.enqueue(db, "second", "work")
    clock.advance(6)
    jobs.enqueue(db, "newest", "work")
    jobs.enqueue(db, "urgent", "work", priority=1)

    order = ["urgent", "first", "second", "late", "newest"]
    assert [job.job_id for job in jobs.pending(db, "work", None, 10)] == order
    assert [claimed(db).job_id for _ in order] == order


def test_a_claim_takes_the_job_for_its_owner(db: Database, clock: ManualClock) -> None:
    jobs.enqueue(db, "j1", "work")

    job = claimed(db, owner="run/worker", lease_s=30)

    assert (job.status, job.owner, job.attempts, job.lease_until) == ("processing", "run/worker", 1, clock.now() + 30)
    assert job.started_at == "2027-01-15 08:00:00.000"
    assert jobs.claim(db, owner="other") is None


@pytest.mark.parametrize(
    ("job_machine", "worker_type", "worker_machine", "goes"),
    [
        (None, "work", None, True),
        (None, "work", "gpu", True),
        ("gpu", "work", None, True),
        ("gpu", "work", "gpu", True),
        ("gpu", "work", "cpu", False),
        ("gpu", None, "gpu", True),
        ("gpu", None, None, True),
        (None, "other", None, False),
    ],
)
def test_a_job_goes_to_workers_that_it_suits(
    db: Database, job_machine: str | None, worker_type: str | None, worker_machine: str | None, goes: bool
) -> None:
    jobs.enqueue(db, "j1", "work", machine_type=job_machine)

    assert (jobs.claimable(db, [(worker_type, worker_machine)]) != set()) is goes
    assert (jobs.pending(db, worker_type, worker_machine, 5) != []) is goes
    assert (jobs.claim(db, owner="w", job_type=worker_type, machine_type=worker_machine) is not None) is goes


def test_a_scheduled_job_waits_for_its_time(db: Database, clock: ManualClock) -> None:
    job = jobs.enqueue(db, "j1", "work", delay_s=10)

    assert job.status == "scheduled"
    assert jobs.claim(db, owner="w") is None
    assert jobs.claim(db, job_id="j1", owner="w") is None
    assert jobs.claimable(db, [("work", None)]) == set()
    clock.advance(10)
    assert jobs.claimable(db, [("work", None)]) == {("work", None)}
    assert claimed(db).job_id == "j1"


def test_a_due_time_may_be_given_as_such(db: Database, clock: ManualClock) -> None:
    assert jobs.enqueue(db, "j1", "work", due_at=clock.now() + 1).status == "scheduled"
    assert jobs.enqueue(db, "j2", "work", due_at=clock.now() - 1).status == "pending"


def test_one_job_can_be_claimed_by_name_once(db: Database) -> None:
    add_jobs(db, 2)

    job = jobs.claim(db, job_id="job-1", owner="w", lease_s=5)

    assert job is not None
    assert (job.status, job.owner, job.attempts) == ("processing", "w", 1)
    assert jobs.claim(db, job_id="job-1", owner="other") is None
    assert jobs.claim(db, job_id="nowhere", owner="other") is None


def test_the_holder_completes_its_job_with_a_result(db: Database) -> None:
    jobs.enqueue(db, "j1", "work")
    claimed(db, owner="w")

    job = jobs.complete(db, "j1", owner="w", result={"frames": 3})

    assert (job.status, job.result, job.lease_until) == ("completed", {"frames": 3}, None)
    assert job.completed_at is not None


def test_a_worker_that_lost_its_job_settles_nothing(db: Database, clock: ManualClock) -> None:
    jobs.enqueue(db, "j1", "work")
    claimed(db, owner="slow", lease_s=5)
    clock.advance(6)
    jobs.rescue(db)
    claimed(db, owner="next")

    for settle in (
        lambda: jobs.complete(db, "j1", owner="slow"),
        lambda: jobs.fail(db, "j1", "why", owner="slow"),
        lambda: jobs.retry(db, "j1", owner="slow"),
        lambda: jobs.release(db, "j1", owner="slow"),
    ):
        with pytest.raises(LeaseLost, match="j1"):
            settle()
    job = jobs.get(db, "j1")
    assert job is not None
    assert (job.status, job.owner) == ("processing", "next")


def test_an_operator_settles_a_job_in_any_status(db: Database) -> None:
    add_jobs(db, 1)

    assert jobs.fail(db, "job-0", "broken\0 disk").error_message == "broken disk"
    assert jobs.complete(db, "job-0").status == "completed"
    with pytest.raises(JobNotFound, match="nowhere"):
        jobs.complete(db, "nowhere")
    with pytest.raises(JobNotFound):
        jobs.fail(db, "nowhere", "why", owner="w")


def test_one_transaction_may_end_a_job_and_take_the_next(db: Database) -> None:
    add_jobs(db, 2)
    claimed(db, owner="w")

    with db.write():
        jobs.complete(db, "job-0", owner="w", result=7)
        job = claimed(db, owner="w")

    assert job.job_id == "job-1"
    assert status(db, "job-0") == "completed"


def test_a_worker_retries_until_the_attempts_are_spent(db: Database, clock: ManualClock) -> None:
    jobs.enqueue(db, "j1", "work", max_attempts=2)
    claimed(db, owner="w")

    again = jobs.retry(db, "j1", owner="w", delay_s=5, reason="flaky")

    assert (again.status, again.due_at, again.error_message) == ("scheduled", clock.now() + 5, "flaky")
    clock.advance(5)
    assert claimed(db, owner="w").attempts == 2
    assert jobs.retry(db, "j1", owner="w", reason="still flaky").status == "failed"


def rescued(db: Database, clock: ManualClock) -> Job:
    clock.advance(5)
    (job,) = jobs.rescue(db)
    return job


IN_VAIN: dict[str, Callable[[Database, ManualClock], Job]] = {
    "its worker is gone": rescued,
    "it took too long": lambda db, _: jobs.time_out(db, "j1", owner="w"),
    "its worker gave up": lambda db, _: jobs.retry(db, "j1", owner="w", reason="flaky"),
}


@pytest.mark.parametrize("in_vain", IN_VAIN.values(), ids=IN_VAIN)
def test_the_first_new_attempt_is_at_once_and_each_further_one_waits_twice_as_long_up_to_an_hour(
    db: Database, clock: ManualClock, in_vain: Callable[[Database, ManualClock], Job]
) -> None:
    jobs.enqueue(db, "j1", "work", max_attempts=12)
    waits = []
    for _ in range(11):
        claimed(db, owner="w", lease_s=4)
        job = in_vain(db, clock)
        waits.append((job.due_at or 0) - clock.now())
        assert (job.status, job.owner, job.started_at) == ("scheduled" if waits[-1] else "pending", None, None)
        assert job.error_message
        if waits[-1]:
            clock.advance(waits[-1] - 1)
            assert jobs.claim(db, owner="w") is None
            clock.advance(1)

    assert waits == [0, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600]


def wait_after_second_attempt(db: Database, clock: ManualClock, **claim: float) -> float:
    """Return the wait after the second attempt, in seconds."""
    for _ in range(2):
        job = claimed(db, owner="w", **claim)
        job = jobs.retry(db, job.job_id, owner="w")
    return (job.due_at or 0) - clock.now()


def test_the_job_says_how_long_it_waits_else_the_worker_that_claimed_it_first(db: Database, clock: ManualClock) -> None:
    jobs.enqueue(db, "own", "work", backoff_s=60)
    assert wait_after_second_attempt(db, clock, backoff_s=3) == 60
    jobs.enqueue(db, "at once", "work", backoff_s=0)
    assert wait_after_second_attempt(db, clock, backoff_s=3) == 0
    jobs.cancel(db, "at once")
    jobs.enqueue_many(db, [jobs.NewJob("work", "none", max_attempts=9)])
    assert wait_after_second_attempt(db, clock, backoff_s=3) == 3
    clock.advance(3)
    jobs.claim(db, job_id="none", owner="w", backoff_s=50)
    assert jobs.time_out(db, "none", owner="w").due_at == clock.now() + 6


@pytest.mark.parametrize("attempts_made", [1, 2, 2000])
def test_a_wait_stays_within_its_bounds_however_many_attempts_there_were(db: Database, attempts_made: int) -> None:
    for backoff_s in (0.0, 1e300):
        job = replace(jobs.enqueue(db, None, "work", backoff_s=backoff_s), attempts=attempts_made)
        assert job.wait_s == (3600 if backoff_s and attempts_made > 1 else 0)


def test_a_delay_takes_the_place_of_the_back_off(db: Database, clock: ManualClock) -> None:
    jobs.enqueue(db, "j1", "work", max_attempts=9)
    for delay_s in (5.0, 0.0, 0.0):
        claimed(db, owner="w")
        assert jobs.retry(db, "j1", owner="w", delay_s=delay_s).due_at == clock.now() + delay_s
        clock.advance(delay_s)


def test_what_the_worker_did_not_fail_at_does_not_wait(db: Database) -> None:
    jobs.enqueue(db, "j1", "work", max_attempts=9)
    for _ in range(3):
        claimed(db, owner="w")
        jobs.retry(db, "j1", owner="w", delay_s=0)
    claimed(db, owner="w")
    jobs.release(db, "j1", owner="w")
    released = jobs.get(db, "j1")
    assert released is not None
    assert (released.status, released.attempts, released.started_at) == ("pending", 3, None)
    claimed(db, owner="w")
    assert jobs.release_owner(db, "w") == 1
    claimed(db, owner="w")
    assert jobs.retry(db, "j1").status == "pending"


def test_an_operator_retries_what_ended_or_hangs(db: Database) -> None:
    jobs.enqueue(db, "j1", "work", max_attempts=1)
    claimed(db)
    jobs.fail(db, "j1", "broken")

    assert (jobs.retry(db, "j1").status, claimed(db).attempts) == ("pending", 1)
    jobs.complete(db, "j1")
    with pytest.raises(WrongJobState, match="completed"):
        jobs.retry(db, "j1")


def test_an_operator_lets_a_job_wait_no_longer(db: Database) -> None:
    jobs.enqueue(db, "j1", "work")
    claimed(db, owner="w")
    jobs.retry(db, "j1", owner="w", delay_s=60, reason="no net")

    again = jobs.retry(db, "j1")

    assert (again.status, again.attempts, again.error_message) == ("pending", 0, "no net")
    assert claimed(db).job_id == "j1"


def test_the_claim_says_how_many_attempts_a_job_without_a_limit_has(db: Database) -> None:
    jobs.enqueue(db, "own", "work", max_attempts=7)
    jobs.enqueue(db, "none", "work")
    jobs.enqueue(db, "third", "work")

    assert [claimed(db, max_attempts=1).max_attempts, claimed(db, max_attempts=1).max_attempts] == [7, 1]
    assert claimed(db).max_attempts == 3


def test_a_released_job_has_its_attempt_back(db: Database) -> None:
    add_jobs(db, 3)
    for _ in range(3):
        claimed(db, owner="w")

    jobs.release(db, "job-0", owner="w")

    assert claimed(db, owner="other").attempts == 1
    assert jobs.release_owner(db, "w") == 2
    assert [job.attempts for job in jobs.pending(db, "work", None, 9)] == [0, 0]


def test_a_renewed_lease_is_not_rescued(db: Database, clock: ManualClock) -> None:
    add_jobs(db, 2)
    claimed(db, owner="alive", lease_s=10)
    claimed(db, owner="dead", lease_s=10)

    clock.advance(8)
    assert jobs.renew(db, "alive") == 1
    clock.advance(8)

    assert [job.job_id for job in jobs.rescue(db)] == ["job-1"]
    assert (status(db, "job-0"), status(db, "job-1")) == ("processing", "pending")


def test_a_job_whose_worker_dies_each_time_fails_in_the_end(db: Database, clock: ManualClock) -> None:
    jobs.enqueue(db, "j1", "work", max_attempts=2)
    for _ in range(2):
        claimed(db, owner="run/w", lease_s=1)
        clock.advance(2)
        rescued = jobs.rescue(db)

    assert [job.status for job in rescued] == ["failed"]
    assert rescued[0].error_message == "lease expired: worker run/w did not finish; 2 of 2 attempts"
    assert jobs.rescue(db) == []


def test_a_job_held_without_a_lease_is_never_rescued(db: Database, clock: ManualClock) -> None:
    jobs.enqueue(db, "j1", "work")
    with db.write():
        db.execute("UPDATE jobs SET status = 'processing', started_at = ?", ("2026-01-01 00:00:00",))

    clock.advance(1e6)

    assert jobs.rescue(db) == []
    assert jobs.reset_processing(db, older_than_s=600) == 1


def test_reset_spares_jobs_that_are_held_or_young(db: Database, clock: ManualClock) -> None:
    add_jobs(db, 1)
    claimed(db, lease_s=2000)
    clock.advance(1000)

    assert jobs.reset_processing(db, older_than_s=600) == 0
    assert jobs.reset_processing(db, older_than_s=None) == 1
    assert claimed(db).attempts == 1


def test_a_cancelled_job_is_lost_to_its_worker(db: Database) -> None:
    add_jobs(db, 1)
    claimed(db, owner="w")

    assert jobs.cancel(db, "job-0").status == "cancelled"
    with pytest.raises(LeaseLost):
        jobs.complete(db, "job-0", owner="w")
    with pytest.raises(WrongJobState, match="cancelled"):
        jobs.cancel(db, "job-0")


def test_removing_and_cleaning_up_delete_rows(db: Database) -> None:
    add_jobs(db, 5)
    jobs.remove(db, "job-0")

    with pytest.raises(JobNotFound):
        jobs.remove(db, "job-0")
    assert jobs.cleanup(db, "pending", limit=3) == 3
    assert [job.job_id for job in jobs.find(db)] == ["job-4"]


def test_pruning_deletes_what_ended_long_ago(db: Database, clock: ManualClock) -> None:
    add_jobs(db, 4)
    for job_id in ("job-0", "job-1"):
        jobs.complete(db, job_id)
    clock.advance(100)
    jobs.complete(db, "job-2")

    assert jobs.prune(db, older_than_s=50, statuses=("completed", "failed")) == 2
    assert [job.job_id for job in jobs.find(db)] == ["job-3", "job-2"]
    assert jobs.prune(db, older_than_s=0, statuses=()) == 0


def test_listing_filters_and_limits(db: Database) -> None:
    add_jobs(db, 3)
    jobs.enqueue(db, "film", "video", machine_type="gpu")
    jobs.fail(db, "job-1", "no")

    assert [job.job_id for job in jobs.find(db, limit=2)] == ["film", "job-2"]
    assert [job.job_id for job in jobs.find(db, status="failed")] == ["job-1"]
    assert [job.job_id for job in jobs.find(db, job_type="video", machine_type="gpu")] == ["film"]
    assert jobs.find(db, status="it's?%s none") == []
    assert len(jobs.find(db, limit=None)) == 4


def test_counts_name_every_status(db: Database) -> None:
    add_jobs(db, 2)
    claimed(db)

    assert jobs.counts(db) == {
        "pending": 1,
        "scheduled": 0,
        "processing": 1,
        "completed": 0,
        "failed": 0,
        "cancelled": 0,
    }


def test_statuses_of_many_ids_come_at_once(db: Database) -> None:
    names = add_jobs(db, 1200)
    jobs.complete(db, "job-7")

    found = jobs.statuses(db, [*names, "nowhere"])

    assert len(found) == 1200
    assert (found["job-7"], found["job-8"]) == ("completed", "pending")


def test_a_row_put_in_by_hand_is_a_complete_job(db: Database) -> None:
    with db.write():
        db.execute("INSERT INTO jobs (job_id, job_type, data) VALUES ('hand', 'work', 'not json')")

    job = claimed(db)

    assert (job.job_id, job.data, job.priority, job.max_attempts) == ("hand", "not json", 5, 3)
    assert job.created_at is not None
    assert len(job.created_at) == len("2026-11-24 05:37:04.123")


def test_a_job_says_itself_as_a_dictionary(db: Database) -> None:
    jobs.enqueue(db, "j1", "work", data={"a": 1})

    assert claimed(db).as_dict()["data"] == {"a": 1}


def test_a_job_that_is_taken_again_by_its_id_is_held_as_long_as_the_last_time(db: Database, clock: ManualClock) -> None:
    add_jobs(db, 1)
    claimed(db, owner="gone", lease_s=5.0)
    clock.advance(6)
    jobs.rescue(db)

    jobs.claim(db, job_id="job-0", owner="us", lease_s=None)

    clock.advance(6)
    assert [job.job_id for job in jobs.rescue(db)] == ["job-0"]
    assert jobs.claim(db, job_id="none", owner="us", lease_s=None) is None
