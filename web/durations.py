"""Durations of actions, for pages and Prometheus."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import Any

from ..storage.durations import BOUNDS, DurationCount


@dataclass(frozen=True, slots=True)
class Durations:
    """All executions of an action by the machines of one configuration."""

    config_type: str
    action: str
    #: those in which anything was counted, the quickest first
    bars: tuple[DurationCount, ...]

    @property
    def times(self) -> int:
        """The number of executions."""
        return sum(bar.times for bar in self.bars)

    @property
    def failures(self) -> int:
        """The number of failed executions."""
        return sum(bar.failures for bar in self.bars)

    @property
    def seconds(self) -> float:
        """The total time."""
        return sum(bar.seconds for bar in self.bars)

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """Upper bounds, and the number of executions up to each, as Prometheus expects them."""
        counts = dict.fromkeys(range(len(BOUNDS) + 1), 0) | {bar.bucket: bar.times for bar in self.bars}
        bounds = [*map(str, BOUNDS), "+Inf"]
        return list(zip(bounds, map(float, accumulate(counts.values())), strict=True))

    def quantile(self, part: float) -> float:
        """Return about the seconds in which this part of the executions ended: the mean of its bucket."""
        below = accumulate(bar.times for bar in self.bars)
        bar = next(bar for bar, count in zip(self.bars, below, strict=True) if count >= part * self.times)
        return bar.seconds / bar.times

    def as_dict(self) -> dict[str, Any]:
        """Return the values for JSON."""
        return {
            "type": self.action,
            "count": self.times,
            "failures": self.failures,
            "mean_s": self.seconds / self.times,
            "p95_s": self.quantile(0.95),
        }


def grouped(bars: Iterable[DurationCount]) -> list[Durations]:
    """Return one object for each configuration and action; storage returns the counts in that order."""
    return [Durations(*key, tuple(group)) for key, group in groupby(bars, lambda bar: (bar.config_type, bar.action))]
