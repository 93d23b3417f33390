"""The placeholder sites of a shell command, and the values that each accepts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from ..placeholders.interpolation import Placeholder


class Strictness(IntEnum):
    """The requirement for a value at its site; a higher one is stricter."""

    TEXT = 0
    """Any text: it arrives unchanged."""
    INERT = 1
    """Letters, digits and a few signs, which have no effect when a shell evaluates them."""
    INTEGER = 2
    """An integer: in arithmetic, bash evaluates anything else as code."""


@dataclass(slots=True, eq=False)
class PlaceholderSite:
    """A place in a command where a value goes."""

    placeholder: Placeholder
    before: str
    after: str
    """The quotes around the reference to the value."""
    pasted: bool = False
    """True if the value is program text on purpose."""
    always: bool = False
    """True if a missing value is passed on as the placeholder's own text, since its braces have a meaning here."""
    range: bool = False
    """True for a bound of `{1..9}`, where the shell accepts only digits."""
    strictness: Strictness = Strictness.TEXT
    where: str = "in a range of numbers"
    """The place in words, for the message of a refusal."""

    def demand(self, strictness: Strictness, where: str) -> None:
        """Raise the strictness to at least this level."""
        if strictness > self.strictness:
            self.strictness, self.where = strictness, where


Demand = tuple[Strictness, str]
"""The strictness, and the place in words that requires it."""

ARITHMETIC: Final[Demand] = (Strictness.INTEGER, "in shell arithmetic, which evaluates text as code")
SUBSCRIPT: Final[Demand] = (Strictness.INTEGER, "in an array subscript, which bash evaluates as code")
NAME: Final[Demand] = (Strictness.INERT, "as the name of a shell variable, which bash evaluates")
EXPANDED_TWICE: Final[Demand] = (
    Strictness.INERT,
    "after >&, where bash expands a file's name twice (>FILE 2>&1 does not)",
)
EVALUATED: Final[Demand] = (Strictness.INERT, "in text that a shell evaluates")

SITE: Final = "\0"
"""The character that stands for a site in the text of a word."""

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
# bash evaluates a value that is assigned to these.
_INTEGERS = ("RANDOM", "SRANDOM", "SECONDS", "LINENO", "HISTCMD", "OPTIND", "EPOCHSECONDS", "BASHPID")
_EVALUATED_VARIABLES = ("PS4", "PROMPT_COMMAND", "BASH_ENV", "ENV")


@dataclass(slots=True)
class CommandTaints:
    """The variables of a whole command that it evaluates. A value that is assigned to one must be harmless too."""

    assigned: list[tuple[str, PlaceholderSite]] = field(default_factory=list)
    arithmetic: set[str] = field(default_factory=lambda: set(_INTEGERS))
    evaluated: set[str] = field(default_factory=lambda: set(_EVALUATED_VARIABLES))
    arrays: set[str] = field(default_factory=set)
    declared: list[tuple[str, PlaceholderSite]] = field(default_factory=list)
    maps: set[str] = field(default_factory=set)
    """Associative arrays, whose subscripts are plain text."""
    subscripts: list[tuple[str, str, list[PlaceholderSite]]] = field(default_factory=list)

    def settle(self) -> None:
        """Apply to every site the strictness that its variable needs anywhere in the command."""
        for array, text, sites in self.subscripts:
            if array not in self.maps:
                self.arithmetic |= identifiers(text)
                demand(sites, SUBSCRIPT)
        for name, site in self.assigned:
            if name in self.arithmetic:
                site.demand(*ARITHMETIC)
            elif name in self.evaluated:
                site.demand(*EVALUATED)
        for name, site in self.declared:
            if name in self.arrays or name in self.maps:
                site.demand(*EVALUATED)


def demand(sites: Iterable[PlaceholderSite], what: Demand) -> None:
    """Raise the strictness of several sites."""
    for site in sites:
        site.demand(*what)


def identifiers(text: str) -> set[str]:
    """Return the names of variables in an expression."""
    return set(_IDENTIFIER.findall(text))
