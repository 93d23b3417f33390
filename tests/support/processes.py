"""Looking at other processes."""

from __future__ import annotations

from pathlib import Path

#: begins a command that gets SIGTERM when the test process is gone, so that an interrupted test run leaves no machine
ENDS_WITH_US = ("setpriv", "--pdeathsig", "TERM")


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat[stat.rindex(")") + 2] != "Z"
