"""Counters of problems and of action durations, kept in memory until Maintenance stores them."""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, NamedTuple

from ...storage import durations, problems
from ...storage.durations import BOUNDS, DurationCount
from ...storage.errors import StorageError
from ...storage.problems import ProblemCount

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ...storage.problem_kinds import ProblemKind


class Counted(NamedTuple):
    """Counts that are not stored yet."""

    problems: list[ProblemCount]
    durations: list[DurationCount]


class Counters:
    """The counters of one process; used by all its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: (kind,) -> times, seconds; (configuration, action, bucket) -> times, failures, seconds
        self._counted: dict[tuple[Any, ...], list[Any]] = {}
        #: True if a problem was counted that is not stored yet
        self.has_problems = False

    def add(self, kind: ProblemKind) -> None:
        """Count a problem that happened or began."""
        self._add((kind,), 1, 0.0)

    def lasted(self, kind: ProblemKind, seconds: float) -> None:
        """Add to the duration of a problem."""
        self._add((kind,), 0, seconds)

    def action_ended(self, config_type: str, action: str, seconds: float, *, failed: bool) -> None:
        """Count one execution of an action."""
        self._add((config_type, action, bisect_left(BOUNDS, seconds)), 1, int(failed), seconds)

    def take(self) -> Counted:
        """Return all counts and reset them."""
        with self._lock:
            counted, self._counted = self._counted, {}
            self.has_problems = False
        return Counted(
            [ProblemCount(*key, *values) for key, values in counted.items() if len(key) == 1],
            [DurationCount(*key, *values) for key, values in counted.items() if len(key) == 3],
        )

    def store(self, db: Database) -> None:
        """Move all counts to the store, in one transaction; on StorageError they stay here."""
        taken = self.take()
        if not any(taken):
            return
        try:
            with db.write():
                problems.add(db, taken.problems)
                durations.add(db, taken.durations)
        except StorageError:
            for problem in taken.problems:
                self._add(problem[:1], *problem[1:])
            for duration in taken.durations:
                self._add(duration[:3], *duration[3:])
            raise

    def _add(self, key: tuple[Any, ...], *values: float) -> None:
        with self._lock:
            self.has_problems = self.has_problems or len(key) == 1
            known = self._counted.setdefault(key, [0] * len(values))
            for index, value in enumerate(values):
                known[index] += value
