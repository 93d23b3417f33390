"""The identity of a process: it tells a process from another one that got the same id later."""

from __future__ import annotations

import os
import socket
import uuid

from .procfs import stat_of


def new_incarnation() -> str:
    """Return `host/pid/start/random`; the random part also differs when a whole machine image is restored."""
    return f"{socket.gethostname()}/{os.getpid()}/{started_at(os.getpid()) or 0}/{uuid.uuid4().hex[:12]}"


def started_at(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; 0 if that is unknown, None if it does not run."""
    try:
        fields = stat_of(pid)
    except FileNotFoundError:
        return _without_proc(pid)
    except OSError:
        return None
    return None if fields[0] == b"Z" else int(fields[19])


def _without_proc(pid: int) -> int | None:
    """Answer by a signal where /proc is missing or hides the processes of other users."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return 0
    return 0
