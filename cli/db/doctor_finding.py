"""The result of one check of `statemachine-db doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """The result of one check."""

    check: str
    """Name of the check: versions, store, disk, permissions, locks, leases, machines, sockets, schedules, events."""
    severity: Literal["ok", "warning", "error"]
    message: str
    remedy: str = ""
    """What to do about it; empty if nothing is wrong."""
