"""Schedules: a row for each, so that only one of all runtimes on the store takes a firing."""

from __future__ import annotations

from dataclasses import dataclass, fields

from .engine.database import Database
from .engine.sql import upsert
from .row import Row

CLAIM = "UPDATE schedules SET next_at = ? WHERE schedule_id = ? AND spec = ? AND next_at = ?"


@dataclass(frozen=True, slots=True)
class ScheduleRow(Row):
    """One row of `schedules`."""

    schedule_id: str
    machine_name: str
    """The machine that was started last with it."""
    config_type: str | None
    cron: str
    timezone: str
    what: str
    """A description of what it does, for people."""
    spec: str
    """When it fires, as text that is equal for equal schedules; after a change the schedule is planned again."""
    next_at: float | None
    """Epoch seconds of the next firing; in the past while no runtime is there to fire it."""
    last_at: float | None = None
    """Epoch seconds at which the last firing was due."""
    last_result: str | None = None
    """The result of the last firing, for people."""
    fired: int = 0
    left_out: int = 0
    """Firings that were due and did nothing, by the rules for missed and overlapping ones."""


NAMES = tuple(field.name for field in fields(ScheduleRow))
COLUMNS = ", ".join(NAMES)
PLAN = NAMES[: NAMES.index("last_at")]
REGISTER = upsert(
    "schedules",
    PLAN,
    next_at="CASE WHEN schedules.spec = excluded.spec THEN schedules.next_at ELSE excluded.next_at END",
)


def register(db: Database, new: ScheduleRow) -> ScheduleRow:
    """Store a schedule and return its row. A known one keeps its next firing unless its `spec` has changed."""
    with db.write():
        db.execute(REGISTER, [getattr(new, name) for name in PLAN])
        found = get(db, new.schedule_id)
    assert found is not None
    return found


def claim(db: Database, schedule_id: str, *, spec: str, seen: float, next_at: float | None) -> bool:
    """Take the firing that was due at `seen`, and set the next one. Do what the firing does in the same transaction.

    Return False if another runtime has taken it, or the schedule has changed.
    """
    with db.write():
        return db.execute(CLAIM, (next_at, schedule_id, spec, seen)).rowcount == 1


def note(db: Database, schedule_id: str, *, last_at: float | None, result: str, fired: int, left_out: int) -> None:
    """Store the result of a firing; `last_at` None keeps the time of the last firing."""
    with db.write():
        db.execute(
            "UPDATE schedules SET last_at = coalesce(?, last_at), last_result = ?, fired = fired + ?, "
            "left_out = left_out + ? WHERE schedule_id = ?",
            (last_at, result, fired, left_out, schedule_id),
        )


def get(db: Database, schedule_id: str) -> ScheduleRow | None:
    """Return the schedule of this id; None if there is none."""
    with db.read():
        row = db.execute(f"SELECT {COLUMNS} FROM schedules WHERE schedule_id = ?", (schedule_id,)).fetchone()
    return ScheduleRow(*row) if row else None


def list_(db: Database) -> list[ScheduleRow]:
    """Return all schedules, by their next firing."""
    order = "next_at IS NULL, next_at, schedule_id"
    with db.read():
        return [ScheduleRow(*row) for row in db.execute(f"SELECT {COLUMNS} FROM schedules ORDER BY {order}")]


def remove(db: Database, schedule_id: str) -> bool:
    """Delete a schedule; a machine that has it stores it again at its start. Return False if there is none."""
    with db.write():
        return db.execute("DELETE FROM schedules WHERE schedule_id = ?", (schedule_id,)).rowcount == 1
