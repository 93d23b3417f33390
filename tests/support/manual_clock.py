"""A clock that tests set."""

from __future__ import annotations


class ManualClock:
    """A clock that stands still until `advance`."""

    def __init__(self, now_s: float = 1_800_000_000.0) -> None:
        self.now_s = now_s

    def now(self) -> float:
        """Return the time that it was set to."""
        return self.now_s

    def advance(self, seconds: float) -> None:
        """Move forward by `seconds`."""
        self.now_s += seconds
