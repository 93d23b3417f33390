"""Figures of a histogram."""

from __future__ import annotations

import pytest

from statemachine_engine.storage.durations import BOUNDS, DurationCount
from statemachine_engine.web.durations import grouped


def test_bars_of_one_action_become_one_histogram() -> None:
    bars = [
        DurationCount("w", "bash", 0, 10, 1, 0.005),
        DurationCount("w", "bash", 6, 10, 2, 5.0),
        DurationCount("w", "log", 0, 1, 0, 0.0),
    ]
    bash, log = grouped(bars)
    assert (bash.times, bash.failures, bash.seconds) == (20, 3, 5.005)
    assert bash.as_dict() == {
        "type": "bash", "count": 20, "failures": 3, "mean_s": pytest.approx(0.25025), "p95_s": 0.5,
    }  # fmt: skip
    assert (log.config_type, log.action, log.times) == ("w", "log", 1)


def test_a_quantile_is_the_mean_of_the_bar_that_holds_it() -> None:
    (found,) = grouped(
        [
            DurationCount("w", "a", 0, 94, 0, 0.047),
            DurationCount("w", "a", 5, 5, 0, 1.0),
            DurationCount("w", "a", len(BOUNDS), 1, 0, 2000.0),
        ]
    )
    assert [found.quantile(part) for part in (0.5, 0.94, 0.95, 0.99, 1.0)] == [0.0005, 0.0005, 0.2, 0.2, 2000.0]


def test_buckets_count_what_took_no_longer() -> None:
    (found,) = grouped([DurationCount("w", "a", 1, 2, 0, 0.004), DurationCount("w", "a", len(BOUNDS), 1, 0, 2000.0)])
    counts = [count for _, count in found.buckets]
    assert counts == [0, *[2] * (len(BOUNDS) - 1), 3]
    assert (found.buckets[0], found.buckets[-1]) == (("0.001", 0), ("+Inf", 3))
