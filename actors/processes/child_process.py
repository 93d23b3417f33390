"""A child process that reports its end, for machines, worker processes and the page server."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...storage import private
from . import procfs

#: the command of this installation, independent of PATH and of the working directory
STATEMACHINE = (sys.executable, "-P", "-m", "statemachine_engine.cli.run")

Report = Callable[["ChildProcess", "dict[str, Any] | int"], None]
"""Receives what a child reports, at last its exit code; called in a thread of the child's own."""


class ChildProcess:
    """A restartable child process in a session of its own.

    With `log`, its output goes to that file, because an unread pipe would block it; otherwise it goes where ours goes.
    """

    def __init__(
        self,
        label: str,
        command: list[str],
        *,
        report: Report,
        log: Path | None = None,
        folder: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.label = label
        self.log = log
        self._command, self._folder, self._env, self._report = command, folder, env, report
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id; None while no process runs."""
        return self._process.pid if self._process is not None else None

    def start(self) -> str | None:
        """Start the process unless it runs; return why the log, the process or its thread cannot be started."""
        if self._process is None:
            try:
                self._begin()
            except (OSError, RuntimeError) as error:
                if self._process is not None:
                    self.kill()
                    self._process.wait()
                self.gone()
                return f"{self.label} cannot be started: {error}"
        return None

    def terminate(self) -> None:
        """Send SIGTERM."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """Kill the process and the commands that it runs, but not the machines that it started in other processes."""
        if self._process is not None and self._process.returncode is None:
            procfs.kill(self._process.pid, spared=STATEMACHINE)

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end of the process; return False after `timeout_s` seconds."""
        try:
            if self._process is not None:
                self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def gone(self) -> None:
        """Forget the process, whose exit code was reported, so that it can be started again."""
        self._process = None

    def _begin(self) -> None:
        self._launch(subprocess.DEVNULL)
        self._watch(self._wait)

    def _launch(self, stdin: Any) -> None:
        if self.log is None:
            self._process = self._popen(stdin, None)
            return
        private.make_folder(self.log.parent)  # again, since somebody may have deleted it
        with private.open_log(self.log) as log:
            self._process = self._popen(stdin, log)

    def _popen(self, stdin: Any, output: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command, stdin=stdin, stdout=output, stderr=output, cwd=self._folder, env=self._env,
            start_new_session=True,
        )  # fmt: skip

    def _watch(self, watch: Callable[..., None], *args: Any) -> None:
        name = f"sm-{self.label.replace(' ', '-')}"
        threading.Thread(target=watch, args=(self._process, *args), name=name, daemon=True).start()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        self._report(self, process.wait())


def how_it_ended(code: int) -> str:
    """Describe an exit code in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
