"""The effects of every verb that changes many rows: the rows that it changes, and that it changes no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from statemachine_engine.storage import audit, jobs, machines, mailbox
from statemachine_engine.storage.audit import Note
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.jobs import attempts, bulk
from statemachine_engine.storage.jobs.bulk import Choice
from tests.support.factories import acquire
from tests.support.manual_clock import ManualClock

#: table -> column that names a row
TABLES = {
    "jobs": "job_id",
    "job_attempts": "job",
    "machine_events": "id",
    "realtime_events": "id",
    "machine_state": "machine_name",
}
Rows = dict[tuple[str, Any], tuple[Any, ...]]


@pytest.fixture
def rows(db: Database, clock: ManualClock) -> Callable[[], Rows]:
    """A store with two jobs of each status, events and history, old and new; returns what reads all of it."""
    for job_type, owner in (("work", "w"), ("other", "v")):
        for status in ("completed", "failed", "processing"):
            jobs.enqueue(db, f"{job_type}-{status}", job_type)
            jobs.claim(db, job_id=f"{job_type}-{status}", owner=owner, machine=job_type)
        jobs.complete(db, f"{job_type}-completed", owner=owner)
        jobs.fail(db, f"{job_type}-failed", "why", owner=owner)
        jobs.enqueue(db, f"{job_type}-cancelled", job_type)
        jobs.cancel(db, f"{job_type}-cancelled")
        jobs.enqueue(db, f"{job_type}-pending", job_type)
        jobs.enqueue(db, f"{job_type}-scheduled", job_type, delay_s=1000)
    for name in ("m", "n"):
        acquire(db, name, incarnation=name)
        for ttl_s in (None, 20, 1000):
            mailbox.post(db, name, "go", ttl_s=ttl_s)
        mailbox.post(db, name, "done", status="processed")
    for age_s in (100, 0):
        audit.write(db, [Note("m", "note", {}, clock.now() - age_s)])
    clock.advance(60)
    jobs.enqueue(db, "work-new", "work")
    jobs.cancel(db, "work-new")

    def read() -> Rows:
        with db.read():
            return {
                (table, row[0]): tuple(row)
                for table, name in TABLES.items()
                for row in db.execute(f"SELECT {name} AS name_of_row, {table}.* FROM {table}").fetchall()
            }

    return read


def changed(before: Rows, after: Rows) -> set[tuple[str, Any]]:
    """Return the rows that were added, changed or deleted."""
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


@pytest.mark.parametrize(
    ("verb", "names"),
    [
        (lambda db: bulk.retry(db, Choice(job_type="work", older_than_s=50)),
         "work-processing work-failed work-cancelled"),
        (lambda db: bulk.cancel(db, Choice(job_type="work")), "work-pending work-scheduled work-processing"),
        (lambda db: bulk.cancel(db, Choice(status="pending")), "work-pending other-pending"),
        (lambda db: bulk.release(db, Choice(job_type="work")), "work-processing"),
        (lambda db: bulk.release(db, Choice(job_id="work-pending")), ""),
        (lambda db: jobs.release_owner(db, "w"), "work-processing"),
        (lambda db: jobs.release_owner(db, "w", machine="other"), ""),
        (lambda db: jobs.release_owner(db, "w", machine="work", but="work-processing"), ""),
        (lambda db: jobs.reset_processing(db, older_than_s=None), "work-processing other-processing"),
        (lambda db: jobs.reset_processing(db, older_than_s=50), ""),
        (lambda db: jobs.renew(db, "w"), "work-processing"),
        (lambda db: jobs.cleanup(db, "failed"), "work-failed other-failed"),
        (lambda db: jobs.cleanup(db, "failed", 1), "work-failed"),
        (lambda db: jobs.prune(db, older_than_s=50, statuses=("completed", "cancelled")),
         "work-completed other-completed work-cancelled other-cancelled"),
        (lambda db: jobs.remove(db, "work-completed"), "work-completed"),
    ],
)  # fmt: skip
def test_a_verb_of_jobs_changes_the_jobs_that_are_meant_and_nothing_else(
    db: Database, rows: Callable[[], Rows], verb: Callable[[Database], Any], names: str
) -> None:
    before = rows()

    verb(db)

    expected = set(names.split())
    found = changed(before, rows())
    assert {key for table, key in found if table == "jobs"} == expected
    numbers = {row[1] for (table, key), row in before.items() if table == "jobs" and key in expected}
    assert {key for table, key in found if table == "job_attempts"} <= numbers
    assert {table for table, _ in found} <= {"jobs", "job_attempts"}


@pytest.mark.parametrize(
    ("verb", "table", "count"),
    [
        (mailbox.expire, "machine_events", 2),
        (lambda db: mailbox.prune(db, older_than_s=50), "machine_events", 2),
        (lambda db: mailbox.clear(db, target="m"), "machine_events", 4),
        (lambda db: mailbox.clear(db, target="m", types=["done"]), "machine_events", 1),
        (lambda db: mailbox.clear(db, status="processed"), "machine_events", 2),
        (lambda db: audit.prune(db, older_than_s=80), "realtime_events", 1),
        (lambda db: machines.heartbeat(db, "m"), "machine_state", 1),
        (lambda db: machines.release(db, "m", "m"), "machine_state", 1),
        (lambda db: machines.release(db, "m", "n"), "machine_state", 0),
        (lambda db: machines.update(db, "m", "m", status="failed"), "machine_state", 1),
        (lambda db: machines.update(db, "m", "m", control_socket="/s"), "machine_state", 1),
    ],
)
def test_a_verb_of_events_history_and_machines_changes_rows_of_its_table_only(
    db: Database, rows: Callable[[], Rows], verb: Callable[[Database], Any], table: str, count: int
) -> None:
    before = rows()

    verb(db)

    found = changed(before, rows())
    assert [name for name, _ in found] == [table] * count


@pytest.mark.parametrize(
    ("end", "status", "outcome"),
    [
        (lambda db, own: jobs.complete(db, "j", **own), "completed", "completed"),
        (lambda db, own: jobs.fail(db, "j", "why", **own), "failed", "failed"),
        (lambda db, own: jobs.retry(db, "j", reason="why", **own), "failed", "failed"),
        (lambda db, own: jobs.time_out(db, "j", **own), "failed", "timed_out"),
        (lambda db, own: jobs.cancel(db, "j"), "cancelled", "cancelled"),
        (lambda db, own: bulk.cancel(db, Choice()), "cancelled", "cancelled"),
    ],
)
def test_a_claimed_job_ends_in_a_final_status_with_its_last_attempt(
    db: Database, clock: ManualClock, end: Callable[..., Any], status: str, outcome: str
) -> None:
    jobs.enqueue(db, "j", "work", max_attempts=1)
    jobs.claim(db, owner="w")
    clock.advance(1)

    end(db, {"owner": "w", "attempt": 1})

    job = jobs.get(db, "j")
    assert job is not None
    assert (job.status, job.lease_until, job.completed_at) == (status, None, "2027-01-15 08:00:01.000")
    assert [attempt.outcome for attempt in attempts.of(db, job)] == [outcome]
    clock.advance(1000)
    assert (jobs.rescue(db), jobs.claim(db, owner="w")) == ([], None)


def test_an_operators_retry_gives_all_attempts_again(db: Database) -> None:
    jobs.enqueue(db, "j", "work", max_attempts=2, backoff_s=0)
    for _ in range(2):
        for status in ("pending", "failed"):
            assert jobs.claim(db, owner="w") is not None
            assert jobs.retry(db, "j", owner="w").status == status
        assert jobs.retry(db, "j").attempts == 0
