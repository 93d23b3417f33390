"""Many jobs at once: added, read, and moved from one status to another by a condition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..clock import to_text
from ..engine.database import Database
from ..engine.sql import one_of
from ..notifications import notify
from . import attempts
from .job import COLUMNS, INSERT, Job, NewJob, from_row, values_of
from .queries import CHUNK

RETRIABLE = ("processing", "failed", "cancelled")
CANCELLABLE = ("pending", "scheduled", "processing")

#: the changes to a job that is released, and to one whose attempts are forgotten
RELEASED = "status = 'pending', attempts = attempts - 1, owner = NULL, lease_until = NULL, started_at = NULL"
RESET = "status = 'pending', attempts = 0, owner = NULL, lease_until = NULL, started_at = NULL"


@dataclass(frozen=True, slots=True)
class Choice:
    """The jobs that match all that is given."""

    job_id: str | None = None
    status: str | None = None
    job_type: str | None = None
    machine_type: str | None = None
    owner: str | None = None
    older_than_s: float | None = None
    """Created at least this many seconds ago."""

    @property
    def names_something(self) -> bool:
        """False if it means every job there is."""
        return self != Choice()


def add(db: Database, rows: Sequence[NewJob]) -> int:
    """Add the jobs in one transaction, except those whose id or unique key is taken. Return the number added."""
    with db.write():
        now = db.now()
        added = db.executemany(INSERT, [values_of(row, now) for row in rows])
        if added:
            notify(db, "jobs", count=added)
    return added


def each(db: Database, choice: Choice, *, chunk: int = CHUNK) -> Iterator[Job]:
    """Yield the jobs in order of insertion; they are read in chunks, so that there may be any number of them."""
    condition, params = _condition(db, choice)
    sql = f"SELECT {COLUMNS} FROM jobs WHERE id > ?{condition} ORDER BY id LIMIT ?"
    last = 0
    while True:
        with db.read():
            rows = db.execute(sql, (last, *params, chunk)).fetchall()
        yield from map(from_row, rows)
        if len(rows) < chunk:
            return
        last = rows[-1][0]


def count(db: Database, choice: Choice, statuses: Sequence[str]) -> int:
    """Return the number of jobs of these statuses."""
    condition, params = _condition(db, choice)
    sql = f"SELECT count(*) FROM jobs WHERE {one_of('status', statuses)}{condition}"
    with db.read():
        return int(db.execute(sql, (*statuses, *params)).fetchone()[0])


def retry(db: Database, choice: Choice) -> int:
    """Make processing, failed and cancelled jobs pending, with no attempts made; an operator's command.

    Return the number of jobs.
    """
    changes = f"{RESET}, due_at = ?, completed_at = NULL"
    return _change(db, choice, RETRIABLE, changes, (db.now(),), outcome="reset")


def cancel(db: Database, choice: Choice) -> int:
    """Cancel pending, scheduled and processing jobs; an operator's command. Return the number of jobs."""
    changes = "status = 'cancelled', completed_at = ?, lease_until = NULL, owner = NULL"
    return _change(db, choice, CANCELLABLE, changes, (to_text(db.now()),), outcome="cancelled")


def release(db: Database, choice: Choice) -> int:
    """Make processing jobs pending, the attempt not counted; an operator's command. Return the number of jobs.

    A worker that holds one loses its lease.
    """
    return _change(db, choice, ("processing",), RELEASED, outcome="released")


def release_owner(db: Database, owner: str, *, machine: str | None = None, but: str | None = None) -> int:
    """Release all jobs that the worker holds. Return the number of jobs.

    With `machine`: only those that it works on, except the job `but`.
    """
    which = "status = 'processing' AND owner = ?" + ("" if machine is None else " AND machine = ? AND job_id <> ?")
    params = (owner,) if machine is None else (owner, machine, but or "")
    with db.write():
        return _update(db, which, params, RELEASED, outcome="released")


def reset_processing(db: Database, *, older_than_s: float | None) -> int:
    """Make jobs pending that are held for longer than this and without a running lease; an operator's command.

    No attempts are counted for them. None: every processing job, lease or not. Return the number of jobs.
    """
    which, params = ["status = 'processing'"], []
    if older_than_s is not None:
        which += ["(started_at IS NULL OR started_at <= ?)", "(lease_until IS NULL OR lease_until < ?)"]
        params = [to_text(db.now() - older_than_s), db.now()]
    with db.write():
        return _announced(db, _update(db, " AND ".join(which), params, RESET, outcome="reset"))


# Helpers


def _change(
    db: Database, choice: Choice, statuses: Sequence[str], changes: str, values: Sequence[Any] = (), *, outcome: str
) -> int:
    condition, params = _condition(db, choice)
    with db.write():
        which = f"{one_of('status', statuses)}{condition}"
        return _announced(db, _update(db, which, (*statuses, *params), changes, values, outcome=outcome))


def _update(
    db: Database, which: str, params: Sequence[Any], changes: str, values: Sequence[Any] = (), *, outcome: str
) -> int:
    """Update every job matching `which`, and end its open attempt with `outcome`. Must run inside write().

    The rows are locked first: an attempt that began between the two statements would have no end. Return the number
    of jobs.
    """
    sql = f"SELECT id FROM jobs WHERE {which} ORDER BY id{db.dialect.for_update}"
    ids = [row[0] for row in db.execute(sql, params).fetchall()]
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        attempts.end_held(db, chunk, outcome)
        db.execute(f"UPDATE jobs SET {changes} WHERE {one_of('id', chunk)}", (*values, *chunk))
    return len(ids)


def _announced(db: Database, count: int) -> int:
    """Notify workers, and whoever waits for the jobs, of `count` changed ones. Return it."""
    if count:
        notify(db, "jobs", count=count)
        notify(db, "done")
    return count


def _condition(db: Database, choice: Choice) -> tuple[str, list[Any]]:
    """Return SQL that begins with " AND ", or nothing, and its parameters."""
    created = None if choice.older_than_s is None else to_text(db.now() - choice.older_than_s)
    given = {
        "job_id = ?": choice.job_id,
        "status = ?": choice.status,
        "job_type = ?": choice.job_type,
        "machine_type = ?": choice.machine_type,
        "owner = ?": choice.owner,
        "created_at <= ?": created,
    }
    meant = {sql: value for sql, value in given.items() if value is not None}
    return "".join(f" AND {sql}" for sql in meant), list(meant.values())
