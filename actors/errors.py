"""What can be wrong with a machine: its file, its actions, its runtime."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ..storage.problem_kinds import ProblemKind

Severity = Literal["error", "warning"]


class MachineError(Exception):
    """Something is wrong with a machine."""

    #: what it counts as where an action fails of it, if it is a trouble of the host's
    problem_kind: ProblemKind | None = None


class NoThread(MachineError):
    """No thread can be had for the machine."""

    def __init__(self, machine: str) -> None:
        super().__init__(
            f"{machine} cannot be started: the system gives no more threads; raise the limit of processes (ulimit -u), "
            "or run fewer machines in a process"
        )


class CannotResume(MachineError):
    """The machine was in a state that its definition does not have any more, or what it left cannot be read."""


class ActionError(MachineError):
    """An action cannot do what its configuration asks for."""


class CommandNotStarted(ActionError):
    """The system gave no process, no descriptor or no memory for a command, or there is no such shell."""

    problem_kind = "command_not_started"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding in a machine's definition, at the place that has to be changed."""

    message: str
    file: str
    line: int = 1
    """Counted from 1."""
    column: int = 1
    """Counted from 1."""
    hint: str | None = None
    severity: Severity = "error"
    code: str = ""
    """What kind of finding it is: see lint/catalogue.py."""

    def __str__(self) -> str:
        """The finding as compilers print it, so that editors can jump to it."""
        text = f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.message}"
        return f"{text}\n  hint: {self.hint}" if self.hint else text


#: findings in one file that are written out; the further ones are counted
MOST_SHOWN = 50


class ConfigError(MachineError):
    """The definition of a machine cannot be used; `problems` holds every reason at once."""

    def __init__(self, problems: Iterable[Problem], warnings: Iterable[Problem] = ()) -> None:
        self.problems = list(problems)
        self.warnings = list(warnings)
        super().__init__("\n".join(written(self.problems)))


def written(problems: Iterable[Problem]) -> Iterator[str]:
    """Each as text, of one file MOST_SHOWN at most, and how many more there are."""
    for file, group in groupby(problems, lambda problem: problem.file):
        found = list(group)
        yield from map(str, found[:MOST_SHOWN])
        if len(found) > MOST_SHOWN:
            yield f"{file}: and {len(found) - MOST_SHOWN} more"
