"""The only file that reads the wall clock, and the text form in which times are stored."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """The source of the engine's time."""

    def now(self) -> float:
        """Return seconds since the epoch, UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Return seconds since the epoch, UTC."""
        return time.time()


system_clock: Clock = SystemClock()


def to_text(epoch: float) -> str:
    """Return the time as `2026-11-24 05:37:04.123`: UTC, milliseconds. Texts sort like their times."""
    second, millis = divmod(round(epoch * 1000), 1000)
    return f"{_second_text(second)}.{millis:03d}"


def from_text(text: str) -> float:
    """Return the epoch seconds of a stored time, also of older engines' whole seconds. ValueError."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def epoch_or_zero(text: str | None) -> float:
    """Return epoch seconds like `from_text`, but 0 for a time that is missing or cannot be read."""
    try:
        return from_text(text) if text else 0.0
    except ValueError:
        return 0.0


@lru_cache(maxsize=256)
def _second_text(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
