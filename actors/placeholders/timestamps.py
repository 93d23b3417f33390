"""Placeholders of jobs and events that a schedule adds: {date} {time} {datetime} {uuid} {host}.

Unlike `date +%F` they need no %, which cron takes for the end of the line.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any

_STAMP = re.compile(r"\{\{(date|time|datetime|uuid|host)\}\}|\{(date|time|datetime|uuid|host)\}")


def stamped(value: Any, moment: float, zone: tzinfo | None = None) -> Any:
    """Return the value with the placeholders in its texts filled in for `moment` (epoch seconds).

    `zone` is None for the time zone of this host. The texts have no colons, so that they may be part of file names:
    2026-11-24, 053704, 20261124T053704. {{date}} is the literal {date}; keys of objects and all other braces do not
    change. The {uuid} is new for each call, and the same within it.
    """
    known: dict[str, str] = {}

    def fill(match: re.Match[str]) -> str:
        literal, name = match.groups()
        if literal:
            return f"{{{literal}}}"
        if name not in known:
            known[name] = _MAKERS[name](datetime.fromtimestamp(moment, zone))
        return known[name]

    return _filled(value, fill)


def _filled(value: Any, fill: Callable[[re.Match[str]], str]) -> Any:
    if isinstance(value, str):
        return _STAMP.sub(fill, value) if "{" in value else value
    if isinstance(value, dict):
        return {key: _filled(item, fill) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, fill) for item in value]
    return value


def _uuid(_: datetime) -> str:
    from uuid import uuid4  # its import takes milliseconds, and few commands need it

    return str(uuid4())


_MAKERS: dict[str, Callable[[datetime], str]] = {
    "date": lambda moment: f"{moment:%Y-%m-%d}",
    "time": lambda moment: f"{moment:%H%M%S}",
    "datetime": lambda moment: f"{moment:%Y%m%dT%H%M%S}",
    "uuid": _uuid,
    "host": lambda _: socket.gethostname(),
}
