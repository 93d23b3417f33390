"""The text form of values, and the filters a placeholder may pass its value through: `{files|length}`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import PurePath, PurePosixPath
from typing import Any, Final

Filter = Callable[[Any], Any]
"""Function from a value that is neither missing nor null to another one; raises ValueError or TypeError."""


class _Missing:
    """The result of a path that leads nowhere, and of a filter that cannot be applied."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


def text_of(value: Any) -> str:
    """Return the text of a value: strings unchanged, the rest as JSON, and as `str()` if JSON does not know it."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, (bool, int, float, Mapping, list, tuple)):
        return json_of(value)
    return str(value)


def json_of(value: Any) -> str:
    """Return the value as JSON on one line; non-ASCII characters are not escaped."""
    try:
        return json.dumps(value, ensure_ascii=False, default=_plain)
    except TypeError:  # keys that JSON does not have
        return str(value)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)


def _length(value: Any) -> int:
    if isinstance(value, (str, Mapping, list, tuple)):
        return len(value)
    raise TypeError


def _scalar(value: Any) -> str:
    if isinstance(value, (Mapping, list, tuple)):
        raise TypeError
    return text_of(value)


def _path(value: Any) -> PurePosixPath:
    if isinstance(value, (str, PurePath)):
        return PurePosixPath(value)
    raise TypeError


def _at(value: Any, index: int) -> Any:
    if not isinstance(value, (list, tuple)):
        raise TypeError
    return value[index] if value else None


def _int(value: Any) -> int:
    if isinstance(value, (bool, int, float)):
        return int(value)
    text = _scalar(value)
    try:
        return int(text)
    except ValueError:
        return int(float(text))


def _float(value: Any) -> float:
    number = float(value if isinstance(value, (bool, int, float)) else _scalar(value))
    if not math.isfinite(number):
        raise ValueError
    return number


def joined_by(separator: str) -> Filter:
    """Return the filter that joins the items of a list."""

    def join(value: Any) -> str:
        if not isinstance(value, (list, tuple)):
            raise TypeError
        return separator.join(text_of(item) for item in value)

    return join


FILTERS: Final[Mapping[str, Filter]] = {
    "length": _length,
    "upper": lambda value: _scalar(value).upper(),
    "lower": lambda value: _scalar(value).lower(),
    "json": json_of,
    "basename": lambda value: _path(value).name,
    "dirname": lambda value: str(_path(value).parent),
    "stem": lambda value: _path(value).stem,
    "ext": lambda value: _path(value).suffix,
    "first": lambda value: _at(value, 0),
    "last": lambda value: _at(value, -1),
    "int": _int,
    "float": _float,
    "raw": lambda value: value,  # only a shell command makes a difference
}
"""The filters without an argument; `default:x` and `join:x` have one."""
