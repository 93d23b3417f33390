"""What is counted until it can be stored."""

from __future__ import annotations

from statemachine_engine.actors.metrics.counters import Counters
from statemachine_engine.storage.troubles import Count


def test_what_could_not_be_stored_is_counted_again() -> None:
    counters = Counters()
    counters.add("socket_gone")
    taken = counters.take()
    counters.add("socket_gone")
    counters.lasted("threads_short", 1.5)
    assert taken == [Count("socket_gone", 1, 0.0)]

    counters.give_back(taken)

    assert counters.take() == [Count("socket_gone", 2, 0.0), Count("threads_short", 0, 1.5)]
    assert counters.take() == []
