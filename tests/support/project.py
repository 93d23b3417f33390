"""A user's project folder: our commands on PATH, processes that are started in it, and what they print."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from statemachine_engine.cli.db.main import db
from statemachine_engine.cli.system.main import system
from tests.support.processes import ENDS_WITH_US
from tests.support.until import PATIENCE_S, until

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
BIN = Path(sys.executable).parent
STOP_S = 20
LISTING = {"statemachine-db": db, "statemachine-system": system}
_OURS = ("STATEMACHINE_DB", "STATEMACHINE_CONTROL_PREFIX", "STATEMACHINE_EVENT_SOCKET")


class Project:
    """Its processes must all have ended, or are ended in order, when it is closed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sockets = Path(tempfile.mkdtemp(prefix="sm-"))  # tmp_path may be too long for a socket's name
        self._processes: list[subprocess.Popen[bytes]] = []
        self.env = {
            **{name: value for name, value in os.environ.items() if name not in _OURS},
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "STATEMACHINE_CONTROL_PREFIX": str(self.sockets / "control"),
            "STATEMACHINE_EVENT_SOCKET": str(self.sockets / "events.sock"),
        }

    def shell(self, script: str, *, code: int = 0, timeout_s: float = 2 * PATIENCE_S) -> str:
        """Run a piece of shell to its end; what it printed."""
        done = subprocess.run(
            ["bash", "-euc", script],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
        said = done.stdout.decode(errors="replace")
        assert done.returncode == code, f"exit code {done.returncode} from:\n{script}\n{said}\n{self.log()}"
        return said

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Start a command that goes on running; its output goes into the project's log."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [*ENDS_WITH_US, "bash", "-c", f"exec {command}"],
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._processes.append(process)
        return process

    def log(self) -> str:
        """Return the output of all started processes so far."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def until_logged(self, text: str, count: int = 1, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the started processes have printed a text the given number of times."""
        until(lambda: self.log().count(text) >= count, timeout_s=timeout_s)

    def listing(self, command: str) -> Result:
        """Return a listing with --format json. It runs in this process, since many tests poll it."""
        program, *args = shlex.split(command)
        with contextlib.chdir(self.folder):
            env = {**dict.fromkeys(_OURS), **self.env}
            return CliRunner().invoke(LISTING[program], [*args, "--format", "json"], env=env, prog_name=program)

    def json(self, command: str) -> Any:
        """Return the data that a listing prints."""
        done = self.listing(command)
        assert done.exit_code == 0, f"exit code {done.exit_code} from:\n{command}\n{done.output}\n{self.log()}"
        return json.loads(done.stdout)

    def state(self, machine: str) -> str | None:
        """Return a machine's stored state; None before its start."""
        done = self.listing("statemachine-db machine-state")
        rows = json.loads(done.stdout) if done.exit_code == 0 else []  # there may be no database yet
        return next((row["current_state"] for row in rows if row["machine_name"] == machine), None)

    def until_state(self, machine: str, state: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the state table has a machine there."""
        until(lambda: self.state(machine) == state, timeout_s=timeout_s)

    def jobs(self, status: str, job_type: str | None = None) -> set[str]:
        """Return the ids of all jobs in a status."""
        kind = f" --type {job_type}" if job_type else ""
        return {job["job_id"] for job in self.json(f"statemachine-db list --limit 1000 --status {status}{kind}")}

    def until_jobs(self, status: str, *job_ids: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait until these jobs are in a status."""
        until(lambda: set(job_ids) <= self.jobs(status), timeout_s=timeout_s)

    def job(self, job_id: str) -> dict[str, Any]:
        """Return all data of one job."""
        details: dict[str, Any] = self.json(f"statemachine-db details {job_id}")
        return details

    def interrupt(self, process: subprocess.Popen[bytes]) -> int:
        """Ctrl-C; the exit code."""
        process.send_signal(signal.SIGINT)
        return process.wait(STOP_S)

    def close(self) -> None:
        """End what still runs, as a service manager does; all must end by themselves then."""
        running = [process for process in self._processes if process.poll() is None]
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
        shutil.rmtree(self.sockets)

    @property
    def _log(self) -> Path:
        return self.folder / "processes.log"


def copy_of(example: str, folder: Path) -> Project:
    """Return a project that is a fresh copy of an example."""
    left_behind = (
        "data",
        "logs",
        "__pycache__",
        "inbox",
        "taken",
        "queued",
        "archive",
        "rejected",
        "*.tsv",
        "report.md",
    )
    shutil.copytree(EXAMPLES / example, folder / example, ignore=shutil.ignore_patterns(*left_behind))
    return Project(folder / example)


def blocks(markdown: Path, language: str = "sh") -> list[str]:
    """Return the fenced blocks of one language in a document, in order."""
    fenced = re.compile(rf"^```{language}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return fenced.findall(markdown.read_text(encoding="utf-8"))
