"""Values that must not show: whatever leaves the process as text has HIDDEN in their place.

One set for the process: what one machine keeps secret must not show in another's log line either.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "***"

SHORTEST = 4
"""Characters; shorter values stand in too many other words to be told from them."""

SHORTEST_LINE = 8
"""The same for a line of a value that has several."""

_lock = threading.Lock()
_forms: set[str] = set()
_pattern: re.Pattern[str] | None = None


def hide(value: str) -> None:
    """From now on this value does not show, in any form that text commonly has; nor does a line of it by itself."""
    global _pattern  # noqa: PLW0603 - the one set of the process
    if len(value) < SHORTEST:
        return
    with _lock:
        for part in (value, *(line for line in value.splitlines() if len(line) >= SHORTEST_LINE)):
            _forms.update(_forms_of(part))
        _pattern = re.compile("|".join(re.escape(form) for form in sorted(_forms, key=len, reverse=True)))


def is_anything_hidden() -> bool:
    """Whether there is any."""
    return _pattern is not None


def masked(text: str) -> str:
    """The text with HIDDEN for each hidden value."""
    return text if _pattern is None else _pattern.sub(HIDDEN, text)


def masked_in(data: Any) -> Any:
    """The same for the texts in data that JSON can say; other objects are left as they are.

    What is too deep to be looked through, or endless, is hidden as a whole.
    """
    if _pattern is None:
        return data
    try:
        return _masked_in(data)
    except RecursionError:
        return HIDDEN


# Helpers


def _forms_of(value: str) -> set[str]:
    """As it is, and as it stands in JSON, in a URL, in Python's repr, also of its bytes, and in a shell's trace."""
    in_bytes = _bytes_of(value)
    in_json = (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    in_url = (quote(in_bytes, ""), quote(in_bytes), quote_plus(in_bytes))
    # with both quotes each ' of it is escaped, as is none where it stands alone
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
    if isinstance(data, Mapping):  # copied first: an action that was cut off may work on it still
        return {_masked_in(key): _masked_in(value) for key, value in tuple(data.items())}
    if isinstance(data, (list, tuple)):
        return [_masked_in(item) for item in tuple(data)]
    return data
