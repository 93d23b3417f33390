"""How long actions took: counted in memory as they end, for the keeper to store now and then."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

from ...storage.durations import BOUNDS, Bar


class Timings:
    """What was counted since it was last taken; for all threads of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: (configuration, action, bucket) -> times, failures, seconds
        self._counted: dict[tuple[str, str, int], list[Any]] = {}

    def add(self, config_type: str, action: str, seconds: float, *, failed: bool) -> None:
        """An action has ended."""
        self._add((config_type, action, bisect_left(BOUNDS, seconds)), 1, failed, seconds)

    def take(self) -> list[Bar]:
        """All that was counted; from here on it counts anew."""
        with self._lock:
            counted, self._counted = self._counted, {}
        return [Bar(*key, *values) for key, values in counted.items()]

    def give_back(self, bars: Iterable[Bar]) -> None:
        """What was taken and could not be stored."""
        for bar in bars:
            self._add(bar[:3], *bar[3:])

    def _add(self, key: tuple[str, str, int], times: int, failures: int, seconds: float) -> None:
        with self._lock:
            counted = self._counted.get(key)
            if counted is None:
                counted = self._counted[key] = [0, 0, 0.0]
            counted[0] += times
            counted[1] += failures
            counted[2] += seconds
