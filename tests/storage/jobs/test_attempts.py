"""Test the record of each attempt at a job, for every way to end it, on every database."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from statemachine_engine.storage import jobs
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import LeaseLost
from statemachine_engine.storage.jobs import attempts, bulk
from statemachine_engine.storage.jobs.attempts import OUTCOMES, Attempt
from tests.support.factories import add_jobs, claimed
from tests.support.manual_clock import ManualClock

End = Callable[[Database, ManualClock], Any]


def taken(db: Database, **fields: Any) -> None:
    """Claim job-0."""
    add_jobs(db, 1, **fields)
    claimed(db, "run", machine="m")


def of(db: Database, job_id: str = "job-0") -> list[Attempt]:
    job = jobs.get(db, job_id)
    assert job is not None
    return attempts.of(db, job)


def rescued(db: Database, clock: ManualClock) -> None:
    clock.advance(61)
    jobs.rescue(db)


MINE: dict[str, Any] = {"owner": "run", "attempt": 1}
CHOICE = bulk.Choice(job_type="work")

ENDS: dict[str, tuple[str, str | None, End]] = {
    "completed by its worker": ("completed", None, lambda db, _: jobs.complete(db, "job-0", **MINE)),
    "completed by an operator": ("completed", None, lambda db, _: jobs.complete(db, "job-0")),
    "failed by its worker": ("failed", "why", lambda db, _: jobs.fail(db, "job-0", "why", **MINE)),
    "failed by an operator": ("failed", "why", lambda db, _: jobs.fail(db, "job-0", "why")),
    "tried again by its worker": ("retried", "why", lambda db, _: jobs.retry(db, "job-0", reason="why", **MINE)),
    "tried again by an operator": ("reset", None, lambda db, _: jobs.retry(db, "job-0")),
    "given back": ("released", None, lambda db, _: jobs.release(db, "job-0", **MINE)),
    "given back with all others": ("released", None, lambda db, _: jobs.release_owner(db, "run")),
    "out of its time": (
        "timed_out",
        "took longer than its time limit of 90 s",
        lambda db, _: jobs.time_out(db, "job-0", **MINE),
    ),
    "lost": ("lost", "lease expired: worker run did not finish; 1 of 3 attempts", rescued),
    "cancelled": ("cancelled", None, lambda db, _: jobs.cancel(db, "job-0")),
    "reset": ("reset", None, lambda db, _: jobs.reset_processing(db, older_than_s=None)),
    "cancelled with many": ("cancelled", None, lambda db, _: bulk.cancel(db, CHOICE)),
    "tried again with many": ("reset", None, lambda db, _: bulk.retry(db, CHOICE)),
    "given back with many": ("released", None, lambda db, _: bulk.release(db, CHOICE)),
}


@pytest.mark.parametrize(("outcome", "reason", "end"), ENDS.values(), ids=ENDS)
def test_the_end_of_an_attempt_is_on_record_once(
    db: Database, clock: ManualClock, outcome: str, reason: str | None, end: End
) -> None:
    taken(db, time_limit_s=90.0)
    clock.advance(5)
    end(db, clock)

    (attempt,) = of(db)
    assert (attempt.outcome, attempt.error_message, attempt.output) == (outcome, reason, None)
    assert (attempt.number, attempt.attempt, attempt.machine, attempt.owner) == (1, 1, "m", "run")
    assert attempt.started_at == "2027-01-15 08:00:00.000"
    assert attempt.ended_at == ("2027-01-15 08:01:06.000" if outcome == "lost" else "2027-01-15 08:00:05.000")
    assert attempt.outcome in OUTCOMES


def test_ending_a_job_without_a_holder_ends_no_attempt(db: Database) -> None:
    add_jobs(db, 6)
    jobs.complete(db, "job-0")
    jobs.fail(db, "job-1", "no")
    jobs.retry(db, "job-1")
    jobs.cancel(db, "job-2")
    bulk.cancel(db, bulk.Choice(job_id="job-3"))
    jobs.rescue(db)
    with db.write():
        db.execute("UPDATE jobs SET status = 'processing' WHERE job_id = 'job-4'")  # as an older engine left it
    jobs.reset_processing(db, older_than_s=None)

    assert [of(db, f"job-{number}") for number in range(6)] == [[]] * 6


def test_an_attempt_whose_end_is_refused_is_not_over(db: Database) -> None:
    taken(db)
    with pytest.raises(LeaseLost):
        jobs.complete(db, "job-0", owner="another")

    assert of(db) == []


def test_attempts_add_up_until_the_last_one_fails(db: Database, clock: ManualClock) -> None:
    taken(db, max_attempts=3, time_limit_s=2.0)
    jobs.retry(db, "job-0", owner="run", output="first")
    claimed(db, "run", machine="m2")
    jobs.time_out(db, "job-0", owner="run", output="second")
    clock.advance(10)
    claimed(db, "run")
    assert jobs.time_out(db, "job-0", owner="run").status == "failed"

    found = [(attempt.attempt, attempt.machine, attempt.outcome, attempt.output) for attempt in of(db)]
    assert found == [(1, "m", "retried", "first"), (2, "m2", "timed_out", "second"), (3, None, "timed_out", None)]
    jobs.retry(db, "job-0")
    claimed(db, "run")
    jobs.retry(db, "job-0", owner="run")
    assert [(attempt.number, attempt.attempt) for attempt in of(db)] == [(1, 1), (2, 2), (3, 3), (4, 1)]


def test_a_retry_when_the_attempts_are_spent_is_a_failure(db: Database) -> None:
    taken(db, max_attempts=1)
    jobs.retry(db, "job-0", owner="run")

    (attempt,) = of(db)
    assert (attempt.outcome, attempt.error_message) == ("failed", "1 of 1 attempts spent")


def test_output_is_kept_without_what_a_store_refuses(db: Database) -> None:
    taken(db)
    jobs.fail(db, "job-0", "bad\0", owner="run", output="a\0b\x1b[1m\ud800🎬")

    (attempt,) = of(db)
    assert (attempt.error_message, attempt.output) == ("bad", "ab\x1b[1m?🎬")


def test_a_job_that_goes_to_another_machine_of_its_runtime_is_that_ones(db: Database) -> None:
    taken(db)
    jobs.assign(db, "job-0", "child", owner="run", attempt=1)
    with pytest.raises(LeaseLost):
        jobs.assign(db, "job-0", "thief", owner="another")
    jobs.complete(db, "job-0", owner="run")

    assert [attempt.machine for attempt in of(db)] == ["child"]


@pytest.mark.parametrize("delete", ["remove", "cleanup", "prune"])
def test_a_deleted_job_takes_its_attempts_along_and_no_others(db: Database, clock: ManualClock, delete: str) -> None:
    taken(db)
    jobs.complete(db, "job-0", owner="run")
    jobs.enqueue(db, "kept", "work")
    claimed(db, "run")
    jobs.retry(db, "kept", owner="run")
    clock.advance(100)
    {
        "remove": lambda: jobs.remove(db, "job-0"),
        "cleanup": lambda: jobs.cleanup(db, "completed"),
        "prune": lambda: jobs.prune(db, older_than_s=50, statuses=("completed",)),
    }[delete]()

    with db.read():
        assert db.execute("SELECT count(*) FROM job_attempts").fetchone()[0] == 1
    assert len(of(db, "kept")) == 1


@pytest.mark.parametrize("db_url", ["sqlite"], indirect=True)
def test_ending_an_attempt_is_no_commit_of_its_own(db_url: str, open_db: Callable[..., Database]) -> None:
    db = open_db(db_url)
    taken(db)
    with suppress(RuntimeError), db.write():
        jobs.complete(db, "job-0", owner="run")
        raise RuntimeError

    assert of(db) == []
    assert jobs.statuses(db, ["job-0"]) == {"job-0": "processing"}
