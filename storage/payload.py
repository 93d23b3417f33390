"""Payloads as they are stored: JSON text, for any value that a user's action returns."""

from __future__ import annotations

import json
import math
from typing import Any

from .masking import masked, masked_in
from .strictjson import MAX_DEPTH, is_endless


def _text(value: object) -> str:
    return masked(str(value))


_compact = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_text).encode
_plain = json.JSONEncoder(separators=(",", ":")).encode


def dumps(value: Any) -> str:
    """Return any value as JSON, with secrets masked. It never fails: values unknown to JSON become text, NaN null."""
    try:
        return _compact(masked_in(value))
    except (ValueError, TypeError, RecursionError):
        return _plain(masked_in(_made_plain(value, 0)))


def loads(text: str | None) -> Any:
    """Return the value of a stored text; a text that is no JSON (from an older engine) is itself the value."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError, TypeError):
        return text


def clean(text: str) -> str:
    """Return a text for people, such as a reason or an output, as it is stored: secrets masked, and `storable`."""
    return storable(masked(text))


def storable(text: str) -> str:
    """Return the text without the characters that a database refuses: NUL and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _made_plain(value: Any, depth: int) -> Any:
    if depth >= MAX_DEPTH and isinstance(value, (dict, list, tuple)):
        return "…"
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {_text_of(key): _made_plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_made_plain(item, depth + 1) for item in value]
    is_plain = isinstance(value, (str, float, bool, type(None))) or (isinstance(value, int) and not is_endless(value))
    return value if is_plain else _text_of(value)


def _text_of(value: object) -> str:
    """Return the value as text; a number too large for Python's decimal conversion as hexadecimal."""
    return hex(value) if isinstance(value, int) and is_endless(value) else str(value)


def attributes(source: object, *names: str) -> dict[str, Any]:
    """Return these attributes of an object by name, for JSON."""
    return {name: getattr(source, name) for name in names}
