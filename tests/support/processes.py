"""Looking at other processes."""

from __future__ import annotations

from pathlib import Path

#: begins a command that gets SIGTERM when the test process is gone, so that an interrupted test run leaves no machine
ENDS_WITH_US = ("setpriv", "--pdeathsig", "TERM")


def alive(pid: int) -> bool:
    """Return True if a process runs; False for a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat[stat.rindex(")") + 2] != "Z"
