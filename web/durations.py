"""How long each action takes, as pages and Prometheus read it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import Any

from ..storage.durations import BOUNDS, Bar


@dataclass(frozen=True, slots=True)
class Durations:
    """All executions of an action by the machines of one configuration."""

    config_type: str
    action: str
    #: executions for each bound of storage's BOUNDS, then those that took longer
    counts: tuple[int, ...]
    failures: int
    seconds: float

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """(upper bound, how many took no longer), as Prometheus wants them."""
        bounds = [*map(str, BOUNDS), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self.counts)), strict=True))

    def quantile(self, part: float) -> float:
        """Seconds within which this part of the executions ended; between two bounds, as if they were spread evenly."""
        wanted = part * self.count
        below = 0
        for low, high, count in zip((0.0, *BOUNDS), (*BOUNDS, math.inf), self.counts, strict=True):
            if count and below + count >= wanted:
                return low if math.isinf(high) else low + (high - low) * (wanted - below) / count
            below += count
        return 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "type": self.action,
            "count": self.count,
            "failures": self.failures,
            "mean_s": self.seconds / self.count,
            "p95_s": self.quantile(0.95),
        }


def grouped(bars: Iterable[Bar]) -> list[Durations]:
    """One for each configuration and action; the bars are in that order."""
    found = []
    for (config_type, action), group in groupby(bars, lambda bar: bar[:2]):
        counts = [0] * (len(BOUNDS) + 1)
        failures, seconds = 0, 0.0
        for bar in group:
            counts[bar.bucket] += bar.times
            failures += bar.failures
            seconds += bar.seconds
        found.append(Durations(config_type, action, tuple(counts), failures, seconds))
    return found
