"""Findings for people: the text layouts of the older validator and linter, with places and carets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from ..actors.errors import MOST_SHOWN
from ..actors.lint.finding import LintFinding, Report
from .output import text

_RULE = "=" * 70
_WIDTH = 100
_BEFORE_CARET = 60


def validation(reports: Sequence[Report], *, quiet: bool, strict: bool) -> str:
    """Return the text of `statemachine-validate`."""
    shown = [part for report in reports if (part := _validated(report, quiet=quiet, strict=strict))]
    if quiet:
        return "\n".join(shown)
    return "\n".join([_RULE, "State Machine Configuration Validation", f"{_RULE}\n", *shown, _summary(reports)])


def linting(reports: Sequence[Report], *, quiet: bool, strict: bool) -> str:
    """Return the text of `statemachine-lint`."""
    shown = [part for report in reports if (part := _linted(report, quiet=quiet, strict=strict))]
    errors, warnings = sum(report.errors for report in reports), sum(report.warnings for report in reports)
    counts = f"{errors} errors, {warnings} warnings\n"
    return "\n".join([*shown, counts] if shown or not quiet else [])


def _validated(report: Report, *, quiet: bool, strict: bool) -> str:
    findings, more = _visible(report, quiet=quiet, strict=strict)
    name = text(report.file)
    if not findings:
        return "" if quiet else click.style(f"✅ {name}: All validations passed", fg="green") + "\n"
    heading = click.style(f"❌ {name}", fg="red") if report.errors else click.style(f"⚠️  {name}", fg="yellow")
    lines = (line for finding in findings for line in _validated_finding(finding, report))
    return "\n".join([heading, *lines, *more, ""])


def _validated_finding(finding: LintFinding, report: Report) -> Iterator[str]:
    label = _colored(finding, f"[{finding.severity.upper()}]")
    yield f"  {label} {_place(finding)}: {text(finding.message)} ({finding.code})"
    yield from _pointed(finding, report)
    if finding.context:
        yield f"    {text(finding.context)}"
    if finding.hint:
        yield f"    💡 {text(finding.hint)}"


def _summary(reports: Sequence[Report]) -> str:
    errors, warnings = sum(report.errors for report in reports), sum(report.warnings for report in reports)
    return f"📊 Summary:\n  Files: {len(reports)}\n  Errors: {errors}\n  Warnings: {warnings}\n"


def _linted(report: Report, *, quiet: bool, strict: bool) -> str:
    findings, more = _visible(report, quiet=quiet, strict=strict)
    lines = [line for finding in findings for line in _linted_finding(finding, report)]
    return "\n".join([text(report.file), *lines, *more, ""]) if lines else ""


def _linted_finding(finding: LintFinding, report: Report) -> Iterator[str]:
    sign = "✗" if finding.severity == "error" else "⚠"
    yield f"  {_colored(finding, f'{sign} [{finding.code}]')} {text(finding.message)}"
    yield f"    {_place(finding)}"
    yield from _pointed(finding, report)
    if finding.hint:
        yield f"    → {text(finding.hint)}"


def _visible(report: Report, *, quiet: bool, strict: bool) -> tuple[list[LintFinding], list[str]]:
    """Return the findings to print, and a line with the number of those left out.

    `quiet` hides findings that do not make the command fail.
    """
    wanted = [finding for finding in report.findings if finding.severity == "error" or strict or not quiet]
    more = len(wanted) - MOST_SHOWN
    return wanted[:MOST_SHOWN], [f"  and {more} more: --format json has them all"] if more > 0 else []


def _place(finding: LintFinding) -> str:
    return f"{text(finding.file)}:{finding.line}:{finding.column}"


def _pointed(finding: LintFinding, report: Report) -> Iterator[str]:
    """Yield the line of the file, cut to fit, and a caret below the column."""
    if not 0 < finding.line <= len(report.lines):
        return
    line = text(report.lines[finding.line - 1])
    column = min(finding.column - 1, len(line))
    start = max(0, column - _BEFORE_CARET)
    gutter = f"{finding.line:5} | "
    yield f"  {gutter}{line[start : start + _WIDTH]}"
    yield f"  {' ' * (len(gutter) - 2)}| {' ' * (column - start)}{_colored(finding, '^')}"


def _colored(finding: LintFinding, words: str) -> str:
    return click.style(words, fg="red" if finding.severity == "error" else "yellow")
