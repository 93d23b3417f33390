"""What each machine's context was lately, for people to look at; no machine goes on from it (see snapshots)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from .engine.database import Database
from .payload import loads

SAVE = """
INSERT INTO machine_contexts (machine_name, context, saved_at) VALUES (?, ?, ?)
ON CONFLICT (machine_name) DO UPDATE SET context = excluded.context, saved_at = excluded.saved_at"""


class ContextRow(NamedTuple):
    """A machine's context is this now; the columns of `machine_contexts`."""

    machine: str
    #: JSON of {"values", "cut", "left_out"}, as in MachineContext
    context: str
    saved_at: float


@dataclass(frozen=True, slots=True)
class MachineContext:
    """As much of a machine's context as is kept for looking at."""

    values: dict[str, Any]
    cut: list[str]
    """Names of the values of which only the beginning is there, as text."""
    left_out: int
    """How many values are not there at all: no JSON, or no room for them."""
    saved_at: float
    """Epoch seconds."""


def get(db: Database, machine: str) -> MachineContext | None:
    """What a machine left last, also after its end; None when it never ran."""
    with db.read():
        row = db.execute("SELECT context, saved_at FROM machine_contexts WHERE machine_name = ?", (machine,)).fetchone()
    return None if row is None else MachineContext(**loads(row[0]), saved_at=row[1])


def write(db: Database, rows: Iterable[ContextRow]) -> None:
    """Keep each machine's newest; within the caller's transaction."""
    db.executemany(SAVE, list(rows))
