"""Waiting for what other threads and processes do, without guessing how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(predicate: Callable[[], T], timeout_s: float = 5.0) -> T:
    """The first truthy value of `predicate`, asked again and again; AssertionError when the time is over."""
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
