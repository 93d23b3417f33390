"""A cron daemon of the test's own, which sees one crontab and nothing of the machine's."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

COMMANDS = "/usr/sbin:/usr/bin:/sbin:/bin"

# In a mount namespace of its own: no system jobs, no users' crontabs, and a lock file that collides with nobody's.
ALONE = """
set -e
mount --bind "$1" /etc/cron.d
mount --bind "$2" /var/spool/cron/crontabs
mount --bind /dev/null /etc/crontab
mount -t tmpfs tmpfs /run
exec cron -f
"""


@contextmanager
def cron_daemon(folder: Path, line: str) -> Iterator[Path]:
    """Run a line of an /etc/cron.d file until the block ends; what is yielded is the daemon's log.

    Skips the test where no daemon can be had.
    """
    _need_a_daemon()
    tables, spool = folder / "cron.d", folder / "spool"
    tables.mkdir()
    spool.mkdir()
    (tables / "statemachine").write_text(f"{line}\n")
    (tables / "statemachine").chmod(0o644)
    said = folder / "cron.said"
    with said.open("wb") as log:
        daemon = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", ALONE, "sh", str(tables), str(spool)],
            env={"PATH": COMMANDS},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield said
        assert daemon.poll() is None, said.read_text()
    finally:
        daemon.terminate()
        daemon.wait(30)


def _need_a_daemon() -> None:
    problem = _problem()
    if problem and os.environ.get("CI"):
        pytest.fail(f"CI needs a cron daemon: {problem}")
    if problem:
        pytest.skip(f"no cron daemon: {problem}")


def _problem() -> str:
    """Why there can be none; empty if there can."""
    if os.getuid() != 0:
        return "only root may start one"
    for command in ("cron", "unshare"):
        if shutil.which(command, path=COMMANDS) is None:
            return f"{command} is not installed (scripts/setup.sh does that as root)"
    for path in ("/etc/cron.d", "/etc/crontab", "/var/spool/cron/crontabs"):
        if not Path(path).exists():
            return f"there is no {path}"
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
    return done.stderr.strip()
