"""How long to wait before something is tried again."""

from __future__ import annotations


def back_off(first_s: float, attempt: int, *, longest_s: float, factor: float = 2.0) -> float:
    """Seconds before the `attempt`-th retry, counted from 1: `factor` times as long each time; none stays none."""
    try:
        return min(first_s * factor ** (attempt - 1), longest_s)
    except OverflowError:
        return longest_s if first_s else 0.0
