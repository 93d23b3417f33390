"""Waiting for what other threads and processes do, without guessing how long it takes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: what a machine that works on other things too may take for what is done at once on an idle one
PATIENCE_S = 30.0


def until(predicate: Callable[[], T], timeout_s: float = PATIENCE_S) -> T:
    """Call `predicate` until its value is true, and return that. Raise AssertionError when the time is over."""
    deadline = time.monotonic() + timeout_s
    pause_s = 0.001
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"still {value!r} after {timeout_s} s: {predicate}")
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, 0.05)


def slowed() -> float:
    """Return how many times slower this machine is than an idle one, because of other processes; at least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
