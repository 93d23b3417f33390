"""Other processes, read from `/proc`."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")


class Process(NamedTuple):
    """A process that runs, or has ended and waits to be reaped."""

    pid: int
    parent: int
    group: int
    runs: bool


def processes() -> Iterator[Process]:
    """Yield all visible processes; none without `/proc`."""
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError, ValueError):  # it has ended meanwhile
            pid = int(folder.name)
            state, parent, group = stat_of(pid)[:3]
            yield Process(pid, int(parent), int(group), state not in b"ZX")


def stat_of(pid: int) -> list[bytes]:
    """Return the fields of `/proc/PID/stat` from field 3, the state, on (proc_pid_stat(5)). Raises OSError."""
    # pid (program name, which may hold anything) state parent group ...
    return (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()


def has_live_member(group: int) -> bool:
    """Return True if a process of the group runs; orphans that nobody reaps, as in many containers, do not count."""
    if not (_PROC / "self" / "stat").exists():
        return True
    return any(process.group == group and process.runs for process in processes())


def kill(pid: int, *, spared: Sequence[str]) -> None:
    """Kill the leader of a process group, and the commands that it runs in groups of their own.

    Commands whose command line begins with `spared` go on.
    """
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)  # stopped, it starts no other and reaps none whose id could be reused
        try:
            with suppress(OSError):  # without a free descriptor its commands cannot be found
                _kill_commands(pid, spared)
        finally:
            os.killpg(pid, signal.SIGKILL)


def _kill_commands(pid: int, spared: Sequence[str]) -> None:
    for group in _led_by_children_of(pid):
        if not _command_line(group).startswith(os.fsencode("\0".join(spared))):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)


def _led_by_children_of(pid: int) -> list[int]:
    return [process.group for process in processes() if process.parent == pid and process.group == process.pid]


def _command_line(pid: int) -> bytes:
    """Return a process's command line; empty if it has ended."""
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""
