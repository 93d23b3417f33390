"""Counts of the problems that all processes of a store have met, by kind; the counts only grow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .engine.database import Database

ADD = """
INSERT INTO troubles (kind, times, seconds) VALUES (?, ?, ?)
ON CONFLICT (kind) DO UPDATE SET
    times = troubles.times + excluded.times, seconds = troubles.seconds + excluded.seconds"""


class ProblemCount(NamedTuple):
    """Problems of one kind; the columns of `troubles`."""

    kind: str
    #: number of times that it began, or happened
    times: int
    #: total seconds that it lasted; 0 for a problem without duration
    seconds: float


def add(db: Database, counts: Iterable[ProblemCount]) -> None:
    """Add to the stored counts in one transaction.

    The rows are sorted, so that processes that do this at the same time cannot deadlock.
    """
    with db.write():
        db.executemany(ADD, sorted(counts))


def counts(db: Database) -> list[ProblemCount]:
    """Return the counts of all kinds that ever occurred, sorted by kind."""
    with db.read():
        return [ProblemCount(*row) for row in db.execute("SELECT kind, times, seconds FROM troubles ORDER BY kind")]
