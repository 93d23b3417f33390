"""Secrets: whatever leaves the process as text has MASK in their place.

There is one set for the process, because one machine's secret must not show in another's log line either.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"

SHORTEST = 4
"""Characters; shorter values occur in too many other words."""

SHORTEST_LINE = 8
"""The same for one line of a value with several lines."""

_lock = threading.Lock()
_forms: set[str] = set()
_pattern: re.Pattern[str] | None = None


def mask(value: str) -> None:
    """Mask this value from now on, in the forms that are common in text, and each of its lines as well."""
    global _pattern  # noqa: PLW0603 - the one set of the process
    if len(value) < SHORTEST:
        return
    with _lock:
        for part in (value, *(line for line in value.splitlines() if len(line) >= SHORTEST_LINE)):
            _forms.update(_forms_of(part))
        _pattern = re.compile("|".join(re.escape(form) for form in sorted(_forms, key=len, reverse=True)))


def is_anything_masked() -> bool:
    """Return True if any value is masked."""
    return _pattern is not None


def masked(text: str) -> str:
    """Return the text with MASK for each secret."""
    return text if _pattern is None else _pattern.sub(MASK, text)


def masked_in(data: Any) -> Any:
    """Return JSON data with the texts in it masked; other objects are left as they are.

    Data that is too deep, or contains itself, is masked as a whole.
    """
    if _pattern is None:
        return data
    try:
        return _masked_in(data)
    except RecursionError:
        return MASK


# Helpers


def _forms_of(value: str) -> set[str]:
    """Return the value as it is, and in JSON, in a URL, in Python's repr, also of its bytes, and in a shell's trace."""
    in_bytes = _bytes_of(value)
    in_json = (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    in_url = (quote(in_bytes, ""), quote(in_bytes), quote_plus(in_bytes))
    # Python escapes each ' only if the text has both kinds of quotes
    in_repr = (repr(f"{value}'\"")[1:-4], ascii(f"{value}'\"")[1:-4], repr(in_bytes + b"'\"")[2:-4])
    forms = {value, *in_json, *in_url, *in_repr, *(form.replace("\\'", "'") for form in in_repr)}
    return forms | {form.replace("'", r"'\''") for form in forms}


def _bytes_of(value: str) -> bytes:
    try:
        return value.encode("utf-8", "surrogateescape")  # as it was in the environment, UTF-8 or not
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")


def _masked_in(data: Any) -> Any:
    if isinstance(data, str):
        return masked(data)
    if isinstance(data, Mapping):  # copied first: an action that was cut off may still change it
        return {_masked_in(key): _masked_in(value) for key, value in tuple(data.items())}
    if isinstance(data, (list, tuple)):
        return [_masked_in(item) for item in tuple(data)]
    return data
