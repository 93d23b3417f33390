"""Many jobs at once: put in, read out, moved from one status to another by a condition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .. import bells
from ..clock import to_text
from ..engine.database import Database
from .job import COLUMNS, INSERT, Job, NewJob, from_row, values_of
from .moves import GIVEN_BACK, move
from .queries import CHUNK

RETRIABLE = ("processing", "failed", "cancelled")
CANCELLABLE = ("pending", "scheduled", "processing")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which jobs are meant: those that match all that is given."""

    job_id: str | None = None
    status: str | None = None
    job_type: str | None = None
    machine_type: str | None = None
    owner: str | None = None
    older_than_s: float | None = None
    """Created so many seconds ago or earlier."""

    @property
    def names_something(self) -> bool:
        """False when it means every job there is."""
        return self != Choice()


def add(db: Database, rows: Sequence[NewJob]) -> int:
    """Add the jobs in one transaction; those whose id or unique key is taken are left out. How many were added."""
    with db.write():
        now = db.now()
        added = db.executemany(INSERT, [values_of(row, now) for row in rows])
        if added:
            bells.ring(db, "jobs", count=added)
    return added


def each(db: Database, choice: Choice, *, chunk: int = CHUNK) -> Iterator[Job]:
    """The jobs in order of insertion, read some at a time, so that there may be any number of them."""
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
    """How many jobs of these statuses are meant."""
    condition, params = _condition(db, choice)
    with db.read():
        found = db.execute(f"SELECT count(*) FROM jobs WHERE {_in(statuses)}{condition}", (*statuses, *params))
        return int(found.fetchone()[0])


def retry(db: Database, choice: Choice) -> int:
    """An operator's word: processing, failed and cancelled ones become pending, attempts anew. How many."""
    return _update(
        db,
        "status = 'pending', due_at = ?, attempts = 0, owner = NULL, lease_until = NULL, "
        "started_at = NULL, completed_at = NULL",
        (db.now(),),
        choice,
        RETRIABLE,
        "reset",
    )


def cancel(db: Database, choice: Choice) -> int:
    """An operator's word: pending, scheduled and processing ones become cancelled. How many."""
    return _update(
        db,
        "status = 'cancelled', completed_at = ?, lease_until = NULL, owner = NULL",
        (to_text(db.now()),),
        choice,
        CANCELLABLE,
        "cancelled",
    )


def release(db: Database, choice: Choice) -> int:
    """An operator's word: processing ones become pending, the attempt given back. How many.

    A worker that holds one loses its lease.
    """
    return _update(db, GIVEN_BACK, (), choice, ("processing",), "released")


# Helpers


def _update(
    db: Database, changes: str, values: tuple[Any, ...], choice: Choice, statuses: Sequence[str], outcome: str
) -> int:
    """Change those of these statuses; attempts at them that are under way end with this outcome."""
    condition, wanted = _condition(db, choice)
    with db.write():
        which, params = f"{_in(statuses)}{condition}", (*statuses, *wanted)
        changed = move(db, which, params, changes, values, outcome=outcome)
        if changed:
            bells.ring(db, "jobs", count=changed)
            bells.ring(db, "done")
    return changed


def _in(statuses: Sequence[str]) -> str:
    return f"status IN ({', '.join('?' * len(statuses))})"


def _condition(db: Database, choice: Choice) -> tuple[str, list[Any]]:
    """SQL that begins with " AND ", or nothing, and its parameters."""
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
