"""Whether a machine that the registry calls running really is."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from .incarnation import may_live

if TYPE_CHECKING:
    from ...storage.machines import MachineRow

#: what `status_of` answers
STATUSES = ("running", "failed", "ended", "standby", "dead")


def is_here(row: MachineRow) -> bool:
    """Whether the machine last ran on this host; rows of older engines name none and are local."""
    return row.host in (None, socket.gethostname())


def is_running(row: MachineRow | None, now_s: float) -> bool:
    """On this host its process decides, a killed one is not waited for; on another one its heartbeat."""
    if row is None or not row.running:
        return False
    return may_live(row) if is_here(row) else (row.alive_until or 0.0) > now_s


def status_of(row: MachineRow, running: bool) -> str:
    """One of STATUSES: what the machine last said of itself; dead if it said that it runs and does not."""
    if running or row.status not in ("running", "standby", "failed", None):
        return row.status or "running"
    return "failed" if row.status == "failed" else "dead"
