"""How long each action takes, as pages and Prometheus read it."""

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
        """How many there were."""
        return sum(bar.times for bar in self.bars)

    @property
    def failures(self) -> int:
        """How many of them failed."""
        return sum(bar.failures for bar in self.bars)

    @property
    def seconds(self) -> float:
        """What they took together."""
        return sum(bar.seconds for bar in self.bars)

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """(upper bound, how many took no longer), as Prometheus wants them."""
        counts = dict.fromkeys(range(len(BOUNDS) + 1), 0) | {bar.bucket: bar.times for bar in self.bars}
        bounds = [*map(str, BOUNDS), "+Inf"]
        return list(zip(bounds, map(float, accumulate(counts.values())), strict=True))

    def quantile(self, part: float) -> float:
        """About the seconds within which this part of the executions ended: the mean of the bar that holds the last."""
        below = accumulate(bar.times for bar in self.bars)
        bar = next(bar for bar, count in zip(self.bars, below, strict=True) if count >= part * self.times)
        return bar.seconds / bar.times

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "type": self.action,
            "count": self.times,
            "failures": self.failures,
            "mean_s": self.seconds / self.times,
            "p95_s": self.quantile(0.95),
        }


def grouped(bars: Iterable[DurationCount]) -> list[Durations]:
    """One for each configuration and action; the bars are in that order, as storage gives them."""
    return [Durations(*key, tuple(group)) for key, group in groupby(bars, lambda bar: (bar.config_type, bar.action))]
