"""Findings for programs: the JSON of the older linter, and SARIF for code scanning."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from ..actors.lint.catalogue import Rule, rules
from ..actors.lint.finding import LintFinding, Report
from ..storage.payload import attributes

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def as_json(reports: Sequence[Report]) -> list[dict[str, Any]]:
    """Return one object for each file, with its issues."""
    return [
        {
            "file": report.file,
            "issues": [_issue(finding) for finding in report.findings],
            "error_count": report.errors,
            "warning_count": report.warnings,
        }
        for report in reports
    ]


def as_sarif(reports: Sequence[Report]) -> dict[str, Any]:
    """Return a SARIF 2.1.0 log with one run."""
    known = list(rules().values())
    driver = {
        "name": "statemachine-validate",
        "version": version("statemachine-engine"),
        "rules": [_sarif_rule(rule) for rule in known],
    }
    places = {rule.code: index for index, rule in enumerate(known)}
    results = [_sarif_result(finding, places[finding.code]) for report in reports for finding in report.findings]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _issue(finding: LintFinding) -> dict[str, Any]:
    place = attributes(finding, "code", "severity", "message", "file", "line", "column", "context")
    return {**place, "fix": finding.hint}


def _sarif_rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.text},
        "help": {"text": rule.explanation()},
        "defaultConfiguration": {"level": rule.severity},
    }


def _sarif_result(finding: LintFinding, rule: int) -> dict[str, Any]:
    message = f"{finding.message}: {finding.hint}" if finding.hint else finding.message
    region = {"startLine": finding.line, "startColumn": finding.column}
    place = {"artifactLocation": {"uri": _uri(finding.file)}, "region": region}
    return {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": message},
        "locations": [{"physicalLocation": place}],
    }


def _uri(file: str) -> str:
    """Return a path as a URI; relative paths stay relative, as code scanning expects."""
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
