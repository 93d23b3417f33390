"""The result of one check of `statemachine-db doctor`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["ok", "warning", "error"]

Result = tuple[Severity, str, str]
"""What a check yields: severity, message, and what to do about it."""


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """The result of one check."""

    check: str
    """Name of the check: versions, store, disk, permissions, locks, leases, machines, sockets, schedules, events."""
    severity: Severity
    message: str
    remedy: str = ""
    """What to do about it; empty if nothing is wrong."""


def findings_of(check: str, results: Iterable[Result]) -> list[DoctorFinding]:
    """Return what a check found wrong; only if there is nothing, return what it found right."""
    found = [DoctorFinding(check, *result) for result in results]
    return [finding for finding in found if finding.severity != "ok"] or found
