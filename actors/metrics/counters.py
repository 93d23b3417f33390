"""What went wrong: counted in memory as it happens, for the keeper to store when it can."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from ...storage.kinds import ProblemKind
from ...storage.troubles import Count


class Counters:
    """What was counted since it was last taken; for all threads of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: kind -> times, seconds
        self._counted: dict[str, list[Any]] = {}

    def add(self, kind: ProblemKind) -> None:
        """It happened, or it began."""
        self._add(kind, 1, 0.0)

    def lasted(self, kind: ProblemKind, seconds: float) -> None:
        """It went on for so much longer."""
        self._add(kind, 0, seconds)

    def take(self) -> list[Count]:
        """All that was counted; from here on it counts anew."""
        with self._lock:
            counted, self._counted = self._counted, {}
        return [Count(kind, *values) for kind, values in counted.items()]

    def give_back(self, counts: Iterable[Count]) -> None:
        """What was taken and could not be stored."""
        for count in counts:
            self._add(*count)

    def _add(self, kind: str, times: int, seconds: float) -> None:
        with self._lock:
            counted = self._counted.setdefault(kind, [0, 0.0])
            counted[0] += times
            counted[1] += seconds
