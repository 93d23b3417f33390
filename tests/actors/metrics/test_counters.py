"""Counting, and moving the counts to the store."""

from __future__ import annotations

import pytest

from statemachine_engine.actors.metrics.counters import Counters
from statemachine_engine.storage import durations, problems
from statemachine_engine.storage.durations import DurationCount
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import StoreUnavailable
from statemachine_engine.storage.problems import ProblemCount


def test_counts_are_moved_to_the_store(db: Database) -> None:
    counters = Counters()
    for _ in range(2):
        counters.add("socket_gone")
        counters.action_ended("worker", "bash", 0.02, failed=True)
    counters.lasted("threads_short", 1.5)
    assert counters.has_problems

    counters.store(db)

    assert problems.counts(db) == [ProblemCount("socket_gone", 2, 0.0), ProblemCount("threads_short", 0, 1.5)]
    assert durations.counts(db) == [DurationCount("worker", "bash", 3, 2, 2, 0.04)]
    assert not counters.has_problems
    assert counters.take() == ([], [])


def test_counts_that_could_not_be_stored_are_kept(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    counters = Counters()
    counters.add("socket_gone")
    counters.action_ended("worker", "bash", 0.02, failed=False)

    def locked(*_: object) -> None:
        raise StoreUnavailable("locked")

    with monkeypatch.context() as patch:
        patch.setattr(durations, "add", locked)
        with pytest.raises(StoreUnavailable):
            counters.store(db)
    counters.add("socket_gone")
    counters.store(db)

    assert problems.counts(db) == [ProblemCount("socket_gone", 2, 0.0)]
    assert durations.counts(db) == [DurationCount("worker", "bash", 3, 1, 0, 0.02)]
