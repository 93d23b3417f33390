"""Collect everything that is wrong with a definition while it is read."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from operator import attrgetter

from ..errors import ConfigError, Problem, Severity
from .model import Mark

_PLACE = attrgetter("line", "column")
_MOST_LISTED = 12
_MOST_COMPARED = 2000
_MOST_SUGGESTED = 100


class Problems:
    """The errors and warnings of one definition; reading goes on after an error, so that all come at once."""

    def __init__(self) -> None:
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []

    def error(self, mark: Mark, message: str, hint: str | None = None, *, code: str = "E015") -> None:
        """Add an error, which makes the definition unusable. The default code E015 is a value of the wrong kind."""
        self.errors.append(_problem(mark, message, hint, "error", code))

    def warn(self, mark: Mark, message: str, hint: str | None = None, *, code: str) -> None:
        """Add a warning about something that is probably a mistake."""
        self.warnings.append(_problem(mark, message, hint, "warning", code))

    def suggestion(self, word: str, known: Iterable[str]) -> str | None:
        """Return a hint with the most similar name; None after many errors, since the search is slow."""
        return did_you_mean(word, known) if len(self.errors) < _MOST_SUGGESTED else None

    def fatal(self, mark: Mark, message: str, hint: str | None = None, *, code: str = "E017") -> ConfigError:
        """Add an error that ends reading, and return the exception to raise. E017 is text that is not YAML."""
        self.error(mark, message, hint, code=code)
        return self.failure()

    def failure(self) -> ConfigError:
        """Return all errors as one exception, in the order of the file."""
        return ConfigError(sorted(self.errors, key=_PLACE), sorted(self.warnings, key=_PLACE))


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return a hint with the most similar known name; None if none is similar."""
    similar = get_close_matches(word[:100], list(islice(known, _MOST_COMPARED)), n=1)
    return f"did you mean '{similar[0]}'?" if similar else None


def listing(names: Iterable[str]) -> str:
    """Return the names as text for a message; a long list is cut."""
    known = [name for name in names if name]  # an empty name is reported elsewhere
    more = f" and {len(known) - _MOST_LISTED} more" if len(known) > _MOST_LISTED else ""
    return ", ".join(known[:_MOST_LISTED]) + more or "none"


def quoted(text: str) -> str:
    """Return a word of the file for a message: in quotes, on one line, and at most 60 characters."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _problem(mark: Mark, message: str, hint: str | None, severity: Severity, code: str) -> Problem:
    return Problem(message, mark.file, mark.line, mark.column, hint, severity, code)
