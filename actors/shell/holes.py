"""The places in a shell command where values go, and what a value there may be."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from ..placeholders.interpolation import Placeholder


class Strictness(IntEnum):
    """What a value has to be where it stands; a higher one is stricter."""

    TEXT = 0
    """Anything: it arrives as it is."""
    INERT = 1
    """Letters, digits and a few signs, which a shell that evaluates them takes for themselves."""
    INTEGER = 2
    """bash evaluates anything else in arithmetic as code."""


@dataclass(slots=True, eq=False)
class PlaceholderSite:
    """A place in a command where a value goes."""

    placeholder: Placeholder
    before: str
    after: str
    """The quotes around the reference to the value."""
    pasted: bool = False
    """The value is program text on purpose."""
    always: bool = False
    """A missing value is handed over too, as the placeholder's own text, since its braces would disturb here."""
    range: bool = False
    """A bound of `{1..9}`, which the shell takes from digits only."""
    guard: Strictness = Strictness.TEXT
    where: str = "in a range of numbers"
    """What stands there, for the message of a refusal."""

    def demand(self, guard: Strictness, where: str) -> None:
        """Makes the guard at least this strict."""
        if guard > self.guard:
            self.guard, self.where = guard, where


Demand = tuple[Strictness, str]
"""How strict, and what stands there that asks for it."""

ARITHMETIC: Final[Demand] = (Strictness.INTEGER, "in shell arithmetic, which evaluates text as code")
SUBSCRIPT: Final[Demand] = (Strictness.INTEGER, "in an array subscript, which bash evaluates as code")
NAME: Final[Demand] = (Strictness.INERT, "as the name of a shell variable, which bash evaluates")
EXPANDED_TWICE: Final[Demand] = (
    Strictness.INERT,
    "after >&, where bash expands a file's name twice (>FILE 2>&1 does not)",
)
EVALUATED: Final[Demand] = (Strictness.INERT, "in text that a shell evaluates")

HOLE: Final = "\0"
"""What stands for a hole in the text of a word."""

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
# Assigning to these evaluates the value.
_INTEGERS = ("RANDOM", "SRANDOM", "SECONDS", "LINENO", "HISTCMD", "OPTIND", "EPOCHSECONDS", "BASHPID")
_EVALUATED_VARIABLES = ("PS4", "PROMPT_COMMAND", "BASH_ENV", "ENV")


@dataclass(slots=True)
class CommandTaints:
    """What a whole command does with its variables: a value in one that is used as code has to be harmless too."""

    assigned: list[tuple[str, PlaceholderSite]] = field(default_factory=list)
    arithmetic: set[str] = field(default_factory=lambda: set(_INTEGERS))
    evaluated: set[str] = field(default_factory=lambda: set(_EVALUATED_VARIABLES))
    arrays: set[str] = field(default_factory=set)
    declared: list[tuple[str, PlaceholderSite]] = field(default_factory=list)
    maps: set[str] = field(default_factory=set)
    """Associative arrays: their subscripts are only text."""
    subscripts: list[tuple[str, str, list[PlaceholderSite]]] = field(default_factory=list)

    def settle(self) -> None:
        """Applies to every hole what was found out about its variable anywhere in the command."""
        for array, text, holes in self.subscripts:
            if array not in self.maps:
                self.arithmetic |= identifiers(text)
                demand(holes, SUBSCRIPT)
        for name, hole in self.assigned:
            if name in self.arithmetic:
                hole.demand(*ARITHMETIC)
            elif name in self.evaluated:
                hole.demand(*EVALUATED)
        for name, hole in self.declared:
            if name in self.arrays or name in self.maps:
                hole.demand(*EVALUATED)


def demand(holes: Iterable[PlaceholderSite], what: Demand) -> None:
    """Makes the same demand of all of these."""
    for hole in holes:
        hole.demand(*what)


def identifiers(text: str) -> set[str]:
    """The names of variables in an expression."""
    return set(_IDENTIFIER.findall(text))
