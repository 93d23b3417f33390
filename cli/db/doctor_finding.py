"""What `statemachine-db doctor` has to say about one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """One thing that was looked at."""

    check: str
    """What was looked at: versions, store, disk, permissions, locks, leases, machines, sockets, schedules, events."""
    severity: Literal["ok", "warning", "error"]
    message: str
    remedy: str = ""
    """What to do about it; empty where all is well."""
