"""Figures of a histogram."""

from __future__ import annotations

import pytest

from statemachine_engine.storage.durations import BOUNDS, Bar
from statemachine_engine.web.durations import grouped


def test_bars_of_one_action_become_one_histogram() -> None:
    bars = [Bar("w", "bash", 0, 10, 1, 0.005), Bar("w", "bash", 6, 10, 2, 5.0), Bar("w", "log", 0, 1, 0, 0.0)]
    bash, log = grouped(bars)
    assert (bash.count, bash.failures, bash.seconds) == (20, 3, 5.005)
    assert bash.as_dict() == {
        "type": "bash", "count": 20, "failures": 3, "mean_s": pytest.approx(0.25025), "p95_s": pytest.approx(0.93),
    }  # fmt: skip
    assert (log.config_type, log.action, log.count) == ("w", "log", 1)


def test_a_quantile_lies_within_the_bar_that_holds_it() -> None:
    (found,) = grouped([Bar("w", "a", bucket, 1, 0, 0.0) for bucket in range(len(BOUNDS) + 1)])
    assert found.quantile(0.5) == pytest.approx(BOUNDS[6])
    assert found.quantile(1.0) == BOUNDS[-1]
