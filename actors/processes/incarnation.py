"""Who we are among processes: one life of one process on one host, never mixed up with another."""

from __future__ import annotations

import os
import socket
import uuid
from typing import TYPE_CHECKING

from .procfs import stat_of

if TYPE_CHECKING:
    from ...storage.machines import MachineRow


def new_incarnation() -> str:
    """`host/pid/start/random`: pids come back, and so do whole images of a disk; the random part does not."""
    return f"{socket.gethostname()}/{os.getpid()}/{started_at(os.getpid()) or 0}/{uuid.uuid4().hex[:12]}"


def may_live(row: MachineRow) -> bool:
    """Whether the process that holds a machine may still run; on another host nobody can tell but its heartbeat."""
    if row.host != socket.gethostname() or not row.incarnation:
        return True
    try:
        pid, start = (int(part) for part in row.incarnation.split("/")[-3:-1])
    except ValueError:
        return True
    now = started_at(pid)
    return now is not None and (start == 0 or now == 0 or now == start)


def started_at(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; 0 where the system does not tell, None when there is none."""
    try:
        fields = stat_of(pid)
    except FileNotFoundError:
        return _without_proc(pid)
    except OSError:
        return None
    return None if fields[0] == b"Z" else int(fields[19])


def _without_proc(pid: int) -> int | None:
    """Where there is no /proc, or it hides the processes of other users."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return 0
    return 0
