"""The wait before a retry."""

from __future__ import annotations


def back_off(first_s: float, attempt: int, *, longest_s: float, factor: float = 2.0) -> float:
    """Return the seconds before the `attempt`-th retry, counted from 1: each is `factor` times as long as the last."""
    try:
        return min(first_s * factor ** (attempt - 1), longest_s)
    except OverflowError:
        return longest_s if first_s else 0.0
