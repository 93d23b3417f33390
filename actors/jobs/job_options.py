"""Check the options that a Python program gives for a job."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from ...storage.jobs import STATUSES

#: the largest whole number of the store
LARGEST = 2**31 - 1


class Number(NamedTuple):
    """The allowed values of an option that is a number."""

    least: float
    whole: bool
    meaning: str


NUMBERS = {
    "priority": Number(-LARGEST, True, "a whole number, 1 for the first"),
    "max_attempts": Number(1, True, "a whole number from 1 on"),
    "limit": Number(0, True, "a whole number from 0 on"),
    "delay_s": Number(0.0, False, "a number of seconds from 0 on"),
    "time_limit_s": Number(0.0, False, "a number of seconds from 0 on"),
    "backoff_s": Number(0.0, False, "a number of seconds from 0 on"),
    "due_at": Number(-sys.float_info.max, False, "a time in epoch seconds"),
}
TEXTS = ("job_type", "job_id", "machine_type", "unique_key", "source_job_id")

#: options that may not be None
NEEDED = ("job_type", "priority", "delay_s", "limit")


def check(options: Mapping[str, Any]) -> None:
    """Raise ValueError for the first invalid option, with the allowed values."""
    given = {name: value for name, value in options.items() if value is not None or name in NEEDED}
    for name in TEXTS:
        if name in given and not (isinstance(given[name], str) and given[name].strip()):
            raise ValueError(f"{name} must be a text that is not empty, not {given[name]!r}")
    for name, number in NUMBERS.items():
        if name in given and not _is(number, given[name]):
            raise ValueError(f"{name} must be {number.meaning}, not {given[name]!r}")


def check_status(status: object) -> None:
    """Raise ValueError unless it is None or the status of a job."""
    if status is not None and status not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(STATUSES)}, not {status!r}")


# Helpers


def _is(number: Number, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int if number.whole else int | float):
        return False
    return number.least <= value <= (LARGEST if number.whole else sys.float_info.max)
