"""The histogram of actions, on every database."""

from __future__ import annotations

from statemachine_engine.storage import durations
from statemachine_engine.storage.durations import DurationCount
from statemachine_engine.storage.engine.database import Database


def test_what_is_added_is_added_to_what_there_is(db: Database) -> None:
    durations.add(db, [DurationCount("worker", "log", 0, 2, 0, 0.5), DurationCount("worker", "bash", 3, 1, 1, 0.25)])
    durations.add(db, [DurationCount("worker", "log", 0, 3, 1, 0.25), DurationCount("worker", "log", 1, 1, 0, 1.0)])
    durations.add(db, [DurationCount("other", "log", 0, 1, 0, 1.0)])

    assert durations.counts(db, "worker") == [
        DurationCount("worker", "bash", 3, 1, 1, 0.25),
        DurationCount("worker", "log", 0, 5, 1, 0.75),
        DurationCount("worker", "log", 1, 1, 0, 1.0),
    ]
    assert len(durations.counts(db)) == 4
