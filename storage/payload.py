"""Payloads as they are stored: JSON text, whatever a user's action may hand over."""

from __future__ import annotations

import json
import math
from typing import Any

from .hidden import masked, masked_in

#: levels of lists and objects in one another that a value from outside may have
MAX_DEPTH = 64
TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"


def _text(value: object) -> str:
    return masked(str(value))


_compact = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_text).encode
_plain = json.JSONEncoder(separators=(",", ":")).encode


def dumps(value: Any) -> str:
    """JSON text of any value, secrets hidden; never fails: what JSON cannot say becomes text, a NaN becomes null."""
    try:
        return _compact(masked_in(value))
    except (ValueError, TypeError, RecursionError):
        return _plain(masked_in(_made_plain(value, 0)))


def loads(text: str | None) -> Any:
    """The value of a stored text; a text that is no JSON (the older engines stored such) is itself the value."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError, TypeError):
        return text


def is_too_deep(value: Any, text: str, *, around: int = 0) -> bool:
    """Whether a value is nested deeper than what walks through it later could follow.

    `text` is its JSON; `around`: so many levels are not the value's own, but of the message that carries it.
    """
    most = MAX_DEPTH + around
    return text.count("[") + text.count("{") > most and _depth(value) > most


def clean(text: str) -> str:
    """A text for people, such as a reason or an output, as it is stored: secrets hidden, and `storable`."""
    return storable(masked(text))


def storable(text: str) -> str:
    """The text without what a database refuses: NUL characters and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, (dict, list))]:
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
        depth += 1
    return depth


def _made_plain(value: Any, depth: int) -> Any:
    if depth >= MAX_DEPTH and isinstance(value, (dict, list, tuple)):
        return "…"
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _made_plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_made_plain(item, depth + 1) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
