"""Decide whether a machine that the store calls running really runs."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from .incarnation import started_at

if TYPE_CHECKING:
    from ...storage.machines import MachineRow

#: the values that `status_of` returns
STATUSES = ("running", "failed", "ended", "standby", "dead")


def is_here(row: MachineRow) -> bool:
    """Return True if the machine last ran on this host; rows of older engines name no host and count as local."""
    return row.host in (None, socket.gethostname())


def process_lives(row: MachineRow) -> bool:
    """Return True unless the process that holds the machine is known to have ended; only this host can know that."""
    if not is_here(row) or not row.incarnation:
        return True
    try:
        pid, start = (int(part) for part in row.incarnation.split("/")[-3:-1])
    except ValueError:
        return True
    now = started_at(pid)
    return now is not None and (start == 0 or now == 0 or now == start)


def is_running(row: MachineRow | None, now_s: float) -> bool:
    """Return True if the machine runs: on this host its process decides, on another host its heartbeat."""
    if row is None or not row.running:
        return False
    return process_lives(row) if is_here(row) else (row.alive_until or 0.0) > now_s


def status_of(row: MachineRow, running: bool) -> str:
    """Return one of STATUSES: the machine's last status, but "dead" if it says that it runs and does not."""
    if running or row.status not in ("running", "standby", "failed", None):
        return row.status or "running"
    return "failed" if row.status == "failed" else "dead"
