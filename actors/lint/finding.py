"""A finding of a check, and the report of all findings in one file."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from ..errors import Problem, Severity


@dataclass(frozen=True, slots=True)
class LintFinding:
    """One finding, at the place that has to be changed."""

    code: str
    message: str
    file: str
    line: int
    """Counted from 1."""
    column: int
    """Counted from 1."""
    hint: str | None = None
    state: str | None = None
    """The state that it is about."""
    event: str | None = None
    """The event that it is about."""

    @property
    def severity(self) -> Severity:
        """Codes that begin with E are errors."""
        return "error" if self.code.startswith("E") else "warning"

    @property
    def context(self) -> str | None:
        """The state and the event that it is about, as text; None if it names neither."""
        named = [("State", self.state), ("Event", self.event)]
        return ", ".join(f"{what}: {name}" for what, name in named if name is not None) or None

    @classmethod
    def of(cls, problem: Problem) -> LintFinding:
        """Return a problem of the loader as a finding."""
        return cls(problem.code, problem.message, problem.file, problem.line, problem.column, problem.hint)


@dataclass(frozen=True, slots=True)
class Report:
    """The findings in one file, in the order of its lines."""

    file: str
    findings: tuple[LintFinding, ...]
    lines: tuple[str, ...] = ()
    """The lines of the file, to show the places of findings."""

    @property
    def errors(self) -> int:
        """The number of errors."""
        return sum(finding.severity == "error" for finding in self.findings)

    @property
    def warnings(self) -> int:
        """The number of warnings."""
        return len(self.findings) - self.errors

    def only(self, codes: Collection[str]) -> Report:
        """Return the report without the findings of other codes."""
        return replace(self, findings=tuple(finding for finding in self.findings if finding.code in codes))
