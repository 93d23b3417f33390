"""What went wrong with all processes of a store, by kind: how often, and how long it lasted; figures that only grow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .engine.database import Database

ADD = """
INSERT INTO troubles (kind, times, seconds) VALUES (?, ?, ?)
ON CONFLICT (kind) DO UPDATE SET
    times = troubles.times + excluded.times, seconds = troubles.seconds + excluded.seconds"""


class Count(NamedTuple):
    """Troubles of one kind; the columns of `troubles`."""

    kind: str
    #: how often it began, or happened
    times: int
    #: how long it lasted, all times together; 0 for what only happens
    seconds: float


def add(db: Database, counts: Iterable[Count]) -> None:
    """Add to what there is, in one transaction; in one order, since several processes do this at a time."""
    with db.write():
        db.executemany(ADD, sorted(counts))


def counts(db: Database) -> list[Count]:
    """All kinds that ever occurred, in order."""
    with db.read():
        return [Count(*row) for row in db.execute("SELECT kind, times, seconds FROM troubles ORDER BY kind")]
