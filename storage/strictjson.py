"""JSON from outside, parsed strictly."""

from __future__ import annotations

import json
import math
from typing import Any

#: levels of lists and objects in one another that a value from outside may have
MAX_DEPTH = 64
TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"

#: digits that a whole number from outside may have; more take quadratic time to read, and no column, no float and no
#: browser could hold the number
MAX_DIGITS = 100


class TooDeep(ValueError):
    """A value is nested too deeply for the code that walks through it later."""

    def __init__(self) -> None:
        super().__init__(TOO_DEEP)


def parse(text: str, *, around: int = 0) -> Any:
    """Return the value. ValueError says what is wrong, and where.

    Refused are NaN, numbers beyond a float's range, whole numbers of more than MAX_DIGITS digits and two keys of one
    name in an object; TooDeep for more than MAX_DEPTH levels, not counting the `around` outer ones of the message that
    carries the value.
    """
    try:
        value = _decoder.decode(text)
    except RecursionError:
        raise TooDeep from None
    if text.count("[") + text.count("{") > MAX_DEPTH + around < _depth(value):
        raise TooDeep
    return value


def is_endless(number: int) -> bool:
    """Return True if the number has more than MAX_DIGITS digits."""
    return abs(number) >= _ENDLESS


# Helpers


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a whole number of more than {MAX_DIGITS} digits: {digits[:20]}…")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits if len(digits) <= MAX_DIGITS else f"{digits[:20]}…")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has two keys of one name")
    return found


_decoder = json.JSONDecoder(
    parse_constant=_refuse, parse_int=_whole, parse_float=_finite, object_pairs_hook=_unique
)  # fmt: skip


_ENDLESS: int = 10**MAX_DIGITS


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, (dict, list))]:
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
        depth += 1
    return depth
