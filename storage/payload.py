"""Payloads as they are stored: JSON text, whatever a user's action may hand over."""

from __future__ import annotations

import json
import math
from typing import Any

from .hidden import masked, masked_in
from .strictjson import MAX_DEPTH, is_endless


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


def clean(text: str) -> str:
    """A text for people, such as a reason or an output, as it is stored: secrets hidden, and `storable`."""
    return storable(masked(text))


def storable(text: str) -> str:
    """The text without what a database refuses: NUL characters and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _made_plain(value: Any, depth: int) -> Any:
    if depth >= MAX_DEPTH and isinstance(value, (dict, list, tuple)):
        return "…"
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {_said(key): _made_plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_made_plain(item, depth + 1) for item in value]
    is_plain = isinstance(value, (str, float, bool, type(None))) or (isinstance(value, int) and not is_endless(value))
    return value if is_plain else _said(value)


def _said(value: object) -> str:
    """As text; of a number that Python writes in no decimal digits any more, those to the base of 16."""
    return hex(value) if isinstance(value, int) and is_endless(value) else str(value)
