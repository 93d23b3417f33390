"""The errors of a machine: of its file, its actions and its runtime."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ..storage.problem_kinds import ProblemKind

Severity = Literal["error", "warning"]


class MachineError(Exception):
    """Base class of all errors of a machine."""

    #: the kind of problem that is counted if an action fails because of this error
    problem_kind: ProblemKind | None = None


class NoThread(MachineError):
    """The system gives no thread for the machine."""

    def __init__(self, machine: str) -> None:
        super().__init__(
            f"{machine} cannot be started: the system gives no more threads; raise the limit of processes (ulimit -u), "
            "or run fewer machines in a process"
        )


class CannotResume(MachineError):
    """The definition no longer has the state of the machine, or its snapshot cannot be read."""


class ActionError(MachineError):
    """An action cannot do what its configuration asks for."""


class CommandNotStarted(ActionError):
    """The system refused a process, a descriptor or memory for a command, or the shell does not exist."""

    problem_kind = "command_not_started"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a machine's definition, at the place that has to be changed."""

    message: str
    file: str
    line: int = 1
    """Counted from 1."""
    column: int = 1
    """Counted from 1."""
    hint: str | None = None
    severity: Severity = "error"
    code: str = ""
    """The kind of problem; lint/catalogue.py lists them."""

    def __str__(self) -> str:
        """Return the problem in the format of compilers, so that editors can jump to its place."""
        text = f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.message}"
        return f"{text}\n  hint: {self.hint}" if self.hint else text


#: problems of one file that are written out; further ones are counted
MOST_SHOWN = 50


class ConfigError(MachineError):
    """The definition of a machine cannot be used; `problems` holds all reasons."""

    def __init__(self, problems: Iterable[Problem], warnings: Iterable[Problem] = ()) -> None:
        self.problems = list(problems)
        self.warnings = list(warnings)
        super().__init__("\n".join(written(self.problems)))


def written(problems: Iterable[Problem]) -> Iterator[str]:
    """Yield each problem as text, at most MOST_SHOWN of a file, and then the number of the others."""
    for file, group in groupby(problems, lambda problem: problem.file):
        found = list(group)
        yield from map(str, found[:MOST_SHOWN])
        if len(found) > MOST_SHOWN:
            yield f"{file}: and {len(found) - MOST_SHOWN} more"
