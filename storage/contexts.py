"""The latest context of each machine, for people to look at; machines resume from snapshots instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from .engine.database import Database
from .engine.sql import upsert
from .payload import loads

SAVE = upsert("machine_contexts", ("machine_name", "context", "saved_at"))


class ContextRow(NamedTuple):
    """A context to be written; the columns of `machine_contexts`."""

    machine: str
    #: JSON of {"values", "cut", "left_out"}, as in MachineContext
    context: str
    saved_at: float


@dataclass(frozen=True, slots=True)
class MachineContext:
    """The part of a machine's context that is kept to be looked at."""

    values: dict[str, Any]
    cut: list[str]
    """The names of the values that were cut; their beginning is there as text."""
    left_out: int
    """The number of values that are missing: they are no JSON, or there was no room for them."""
    saved_at: float
    """Epoch seconds."""


def get(db: Database, machine: str) -> MachineContext | None:
    """Return a machine's latest context, also after its end; None if it never ran."""
    with db.read():
        row = db.execute("SELECT context, saved_at FROM machine_contexts WHERE machine_name = ?", (machine,)).fetchone()
    return None if row is None else MachineContext(**loads(row[0]), saved_at=row[1])


def write(db: Database, rows: Iterable[ContextRow]) -> None:
    """Inside write(), store each machine's newest context."""
    db.executemany(SAVE, list(rows))
