"""How long actions took and how often they failed, by configuration and action: a histogram that only grows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .engine.database import Database

#: seconds up to which each bar counts; one more bar counts all that took longer
BOUNDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)

ADD = """
INSERT INTO action_seconds (config_type, action, bucket, times, failures, seconds) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (config_type, action, bucket) DO UPDATE SET
    times = action_seconds.times + excluded.times, failures = action_seconds.failures + excluded.failures,
    seconds = action_seconds.seconds + excluded.seconds"""


class Bar(NamedTuple):
    """Executions of an action that took about as long; the columns of `action_seconds`."""

    config_type: str
    action: str
    #: place of the first bound that is not exceeded, len(BOUNDS) where there is none
    bucket: int
    #: how many there were
    times: int
    #: how many of them failed
    failures: int
    #: what they took together
    seconds: float


def add(db: Database, bars: Iterable[Bar]) -> None:
    """Add to what there is, in one transaction; in one order, since several processes do this at a time."""
    with db.write():
        db.executemany(ADD, sorted(bars))


def bars(db: Database, config_type: str | None = None) -> list[Bar]:
    """All bars in which anything was counted, in order; of one configuration or of all."""
    condition, values = ("WHERE config_type = ?", (config_type,)) if config_type is not None else ("", ())
    with db.read():
        rows = db.execute(
            f"SELECT config_type, action, bucket, times, failures, seconds FROM action_seconds {condition} "
            "ORDER BY config_type, action, bucket",
            values,
        ).fetchall()
    return [Bar(*row) for row in rows]
