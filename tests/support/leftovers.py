"""Find what a test leaves in its process and folder: threads, descriptors, sockets, rows of running machines."""

from __future__ import annotations

import contextlib
import gc
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

#: seconds that threads which are ending get, and what they have open
PATIENCE_S = 5.0


def threads() -> set[str]:
    """Return the names and identifiers of the engine's threads."""
    return {f"thread {thread.name} {thread.ident}" for thread in threading.enumerate() if thread.name.startswith("sm-")}


def descriptors() -> set[str]:
    """Return the open descriptors with what they stand for."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that of the listing itself
            found.add(f"descriptor {number} {os.readlink(f'/proc/self/fd/{number}')}")
    return found


def sockets(folder: Path) -> set[str]:
    """Return the socket files below a folder."""
    return {f"socket {path}" for path in folder.rglob("*") if path.is_socket()}


def running_rows(folder: Path) -> set[str]:
    """Return the machines that the SQLite files below a folder show as running in this process."""
    found = set()
    for path in folder.rglob("*.db"):
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db,
        ):
            rows = db.execute(
                "SELECT machine_name FROM machine_state WHERE pid = ? AND status IN ('running', 'failed')",
                (os.getpid(),),
            )
            found |= {f"running machine {name} in {path}" for (name,) in rows}
    return found


def since(before: set[str], look: Callable[[], set[str]]) -> list[str]:
    """Return what `look` finds that was not there before, after a while for what is ending."""
    deadline_s, pause_s = time.monotonic() + PATIENCE_S, 0.001
    while left := look() - before:
        if time.monotonic() > deadline_s:
            return sorted(left)
        gc.collect()  # what a failed call has opened may hang on its traceback
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.1)
    return []
