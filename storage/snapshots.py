"""The last known position of each machine that resumes there after a restart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from .engine.database import Database
from .engine.sql import upsert
from .errors import SnapshotDamaged
from .payload import clean, loads

COLUMNS = (
    "machine_name, state, settled, context, job_id, attempt, timers, incarnation, definition_hash, saved_at, failure, "
    "cut_off"
)
HELD_BY_ANOTHER = (
    "EXISTS (SELECT 1 FROM machine_state m WHERE m.machine_name = {machine} AND m.incarnation <> {incarnation})"
)
SAVE = f"""
{upsert("machine_snapshots", COLUMNS.split(", "))}
WHERE NOT {HELD_BY_ANOTHER.format(machine="excluded.machine_name", incarnation="excluded.incarnation")}"""
FORGET = f"""
DELETE FROM machine_snapshots WHERE machine_name = ? AND NOT {HELD_BY_ANOTHER.format(machine="?", incarnation="?")}"""


class Saved(NamedTuple):
    """A snapshot to be written; ignored if another incarnation holds the name."""

    machine: str
    state: str
    settled: bool
    context: str
    job_id: str | None
    attempt: int | None
    timers: str
    incarnation: str
    definition_hash: str
    saved_at: float
    failure: str | None
    cut_off: bool


class Forgotten(NamedTuple):
    """A snapshot to be deleted because the machine has ended; ignored if another incarnation holds the name."""

    machine: str
    incarnation: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A machine at one moment."""

    machine: str
    state: str
    settled: bool
    """True if the state's actions had run; only those that watch or repeat run again."""
    context: dict[str, Any]
    """The context that is JSON, without the engine's own keys."""
    job_id: str | None
    attempt: int | None
    timers: dict[str, float]
    """Event of each armed timeout -> epoch seconds at which it is due."""
    incarnation: str | None
    """The run of a runtime that held the machine, and its job."""
    definition_hash: str | None
    saved_at: float
    """Epoch seconds."""
    failure: str | None = None
    """The reason why the job has failed, unless an action settles it otherwise."""
    cut_off: bool = False
    """True if the job's actions were cut off: it is retried, unless an action settles it otherwise."""


def get(db: Database, machine: str) -> Snapshot | None:
    """Return the snapshot of a machine, None if it has ended since. SnapshotDamaged if it cannot be read."""
    with db.read():
        row = db.execute(f"SELECT {COLUMNS} FROM machine_snapshots WHERE machine_name = ?", (machine,)).fetchone()
    if row is None:
        return None
    name, state, settled, context, job_id, attempt, timers, *rest = row
    rest[-1] = bool(rest[-1])
    known, due = _mapping(context, "context"), _mapping(timers, "timers")
    if not all(type(at) in (int, float) for at in due.values()):
        raise SnapshotDamaged("its timers are no times")
    return Snapshot(name, state, bool(settled), known, job_id, attempt, due, *rest)


def write(db: Database, records: Iterable[Saved | Forgotten]) -> None:
    """Inside write(), store or delete snapshots."""
    for record in records:
        if isinstance(record, Saved):
            failure = clean(record.failure) if record.failure else None
            db.execute(SAVE, (*record[:2], int(record.settled), *record[3:-2], failure, int(record.cut_off)))
        else:
            db.execute(FORGET, (record.machine, *record))


# Helpers


def _mapping(text: str | None, what: str) -> dict[str, Any]:
    value = loads(text) or {}
    if not isinstance(value, dict):
        raise SnapshotDamaged(f"its {what} is no JSON mapping")
    return value
