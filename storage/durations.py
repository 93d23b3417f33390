"""Histogram of how long actions took and how often they failed, by configuration and action; it only grows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .engine.database import Database

#: upper bounds of the buckets in seconds; one more bucket counts everything that took longer
BOUNDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)

ADD = """
INSERT INTO action_seconds (config_type, action, bucket, times, failures, seconds) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (config_type, action, bucket) DO UPDATE SET
    times = action_seconds.times + excluded.times, failures = action_seconds.failures + excluded.failures,
    seconds = action_seconds.seconds + excluded.seconds"""


class DurationCount(NamedTuple):
    """Executions of an action in one bucket of the histogram; the columns of `action_seconds`."""

    config_type: str
    action: str
    #: index of the first bound that is not exceeded, len(BOUNDS) if there is none
    bucket: int
    #: number of executions
    times: int
    #: number of them that failed
    failures: int
    #: their total duration
    seconds: float


def add(db: Database, counts: Iterable[DurationCount]) -> None:
    """Add to the stored counts in one transaction.

    The rows are sorted, so that processes that do this at the same time cannot deadlock.
    """
    with db.write():
        db.executemany(ADD, sorted(counts))


def counts(db: Database, config_type: str | None = None) -> list[DurationCount]:
    """Return all buckets that are not empty, sorted; of one configuration or of all."""
    condition, values = ("WHERE config_type = ?", (config_type,)) if config_type is not None else ("", ())
    with db.read():
        rows = db.execute(
            f"SELECT config_type, action, bucket, times, failures, seconds FROM action_seconds {condition} "
            "ORDER BY config_type, action, bucket",
            values,
        ).fetchall()
    return [DurationCount(*row) for row in rows]
