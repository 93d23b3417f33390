"""Machines started by a machine in a process of their own."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...storage.hidden import masked
from ..errors import CommandNotStarted
from . import procfs

log = logging.getLogger(__name__)

#: the command of our own installation, whatever PATH and the working directory hold
STATEMACHINE = (sys.executable, "-P", "-m", "statemachine_engine.cli.run")

#: seconds that a child has to stop before it is killed
GRACE_S = 12.0


class Children:
    """The child processes of a runtime: started, reaped, and ended with it unless they are detached."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[int, tuple[str, subprocess.Popen[bytes]]] = {}

    def start(
        self, parent: str, path: Path, name: str, context: Mapping[str, Any], *, options: list[str], detached: bool
    ) -> int:
        """Run `statemachine path --machine-name name` with our own interpreter; its process id.

        Its output goes where ours goes: a pipe that nobody reads would stop it when full. Secrets are not handed on.
        CommandNotStarted.
        """
        command = [*STATEMACHINE, str(path), "--machine-name", name, *options]
        shown = {key: value for key, value in context.items() if _is_open(value)}
        if shown:
            command += ["--initial-context", json.dumps(shown, default=str)]
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        except OSError as error:
            raise CommandNotStarted(f"no process can be started for machine {name}: {error.strerror}") from error
        if not detached:
            with self._lock:
                self._running[process.pid] = (parent, process)
        threading.Thread(target=self._reap, args=(name, process), name=f"sm-child-{process.pid}", daemon=True).start()
        return process.pid

    def stop(self, parent: str | None = None) -> None:
        """Ask the children of a machine, or all of them, to stop; those that do not are killed after GRACE_S.

        The commands that these run are killed with them.
        """
        with self._lock:
            ending = [process for owner, process in self._running.values() if parent in (None, owner)]
        for process in ending:
            process.terminate()
        deadline_s = time.monotonic() + GRACE_S
        for process in ending if parent is None else ():
            _wait_or_kill(process, deadline_s)

    def _reap(self, name: str, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        with self._lock:
            self._running.pop(process.pid, None)
        level = logging.INFO if code == 0 else logging.WARNING
        log.log(level, "machine %s (pid %d) ended: exit code %d", name, process.pid, code)


def _is_open(value: Any) -> bool:
    """No secret is in it: a command line is shown to everybody by `ps`."""
    text = json.dumps(value, default=str)
    return masked(text) == text


def _wait_or_kill(process: subprocess.Popen[bytes], deadline_s: float) -> None:
    try:
        process.wait(max(0.0, deadline_s - time.monotonic()))
    except subprocess.TimeoutExpired:
        procfs.kill(process.pid, spared=STATEMACHINE)
