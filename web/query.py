"""Checks the parameters and bodies of requests; refuses wrong ones by name."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeVar

from flask import request

from ..storage.payload import clean
from ..storage.strictjson import TooDeep, parse
from .answers import Refused

T = TypeVar("T", int, None)

MAX_ID = 2**63 - 1
LARGEST = 2**31 - 1
TEN_YEARS_S = 315_360_000
LONGEST_TEXT = 1000


class Query:
    """The query string of the URL."""

    def integer(self, name: str, default: T, *, low: int, high: int) -> int | T:
        """Return a whole number from `low` to `high`."""
        text = request.args.get(name)
        if text is None:
            return default
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 19 or not low <= int(text) <= high:
            raise Refused(400, f"{name} must be a whole number from {low} to {high}, not {_cut(text)}")
        return int(text)

    def text(self, name: str) -> str | None:
        """Return a text; an empty one counts as missing."""
        return checked_text(request.args.get(name) or None, name)

    def choice(self, name: str, allowed: Collection[str]) -> str | None:
        """Return one of the allowed values."""
        text = request.args.get(name) or None
        if text is not None and text not in allowed:
            raise Refused(400, f"{name} must be one of {', '.join(allowed)}, not {_cut(text)}")
        return text


class Body:
    """The JSON object of a write."""

    def __init__(self, *allowed: str) -> None:
        """Refuse the body if it has other keys than `allowed`."""
        value = _json() if request.data else {}
        if not isinstance(value, dict):
            raise Refused(400, "the body must be a JSON object")
        unknown = sorted(set(value) - set(allowed))
        if unknown:
            raise Refused(400, f"unknown key {_cut(unknown[0])}", f"known keys: {', '.join(allowed) or 'none'}")
        self.value: dict[str, Any] = value

    def text(self, name: str, *, needed: bool = False) -> str | None:
        """Return a text that is not empty."""
        text = self.value.get(name)
        if text is None and not needed:
            return None
        if not isinstance(text, str) or not text.strip():
            raise Refused(400, f"{name} must be a text that is not empty")
        return checked_text(text, name)

    def number(self, name: str, *, low: int, high: int, whole: bool = True) -> Any:
        """Return a number from `low` to `high`, or None."""
        value = self.value.get(name)
        kinds = (int,) if whole else (int, float)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            raise Refused(400, f"{name} must be a{' whole' if whole else ''} number from {low} to {high}")
        return value


def checked_text(text: str | None, name: str) -> str | None:
    """Return the text if a database can store it."""
    if text is not None and (len(text) > LONGEST_TEXT or clean(text) != text):
        raise Refused(400, f"{name} must have at most {LONGEST_TEXT} characters, and no NUL or half characters")
    return text


def _json() -> Any:
    if not request.is_json:
        raise Refused(400, "the body must be a JSON object", "send it with Content-Type: application/json")
    try:
        return parse(request.get_data().decode("utf-8"), around=1)
    except TooDeep as error:
        raise Refused(400, str(error)) from None
    except ValueError as error:
        raise Refused(400, f"the body is not JSON: {error}") from None


def _cut(text: str, limit: int = 60) -> str:
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
