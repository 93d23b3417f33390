"""The processes of a system, seen from their parent: a shard runs some of the machines, and does what it is told.

A shard's standard input is a socket, and its orders and reports are lines of JSON on it. When the parent is gone,
however that happened, the socket ends and the shard stops its machines in order: none is left behind.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...storage import private
from ..processes import procfs
from ..processes.children import STATEMACHINE

#: the shard's side of our own installation, whatever PATH and the working directory hold
PROGRAM = (sys.executable, "-P", "-m", "statemachine_engine.cli.system.worker_process")

#: seconds that a shard may take no orders; then it hangs
SEND_S = 10.0

Hear = Callable[["Child", "dict[str, Any] | int"], None]
"""Gets what a child says, and its exit code at last; in a thread of the child's own."""


class Child:
    """One process beside us, again and again; its output goes to a log file, for a pipe would have to be read."""

    def __init__(
        self, label: str, command: list[str], *, log: Path, folder: Path, env: Mapping[str, str], hear: Hear
    ) -> None:
        self.label = label
        self.log = log
        self._command, self._folder, self._env, self._hear = command, folder, env, hear
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process; None while there is none."""
        return self._process.pid if self._process is not None else None

    def start(self) -> str | None:
        """Start it, unless it runs; why there can be no log, process or thread for it."""
        if self._process is None:
            try:
                self._begin()
            except (OSError, RuntimeError) as error:
                self._undo()
                return f"{self.label} cannot be started: {error}"
        return None

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """End it and the commands that it runs; machines that it has started in processes of their own go on."""
        if self._process is not None and self._process.returncode is None:
            procfs.kill(self._process.pid, spared=STATEMACHINE)

    def gone(self) -> None:
        """Its exit code has been heard."""
        self._process = None

    def _begin(self) -> None:
        self._launch(subprocess.DEVNULL)
        self._watch(self._wait)

    def _undo(self) -> None:
        """What has begun, and nobody watches."""
        if self._process is not None:
            self.kill()
            self._process.wait()
        self.gone()

    def _launch(self, stdin: Any) -> None:
        private.make_folder(self.log.parent)  # again, if somebody has cleared it away
        with private.open_log(self.log) as log:
            self._process = subprocess.Popen(
                self._command, stdin=stdin, stdout=log, stderr=log, cwd=self._folder, env=self._env,
                start_new_session=True,
            )  # fmt: skip

    def _watch(self, what: Callable[..., None], *args: Any) -> None:
        assert self._process is not None
        name = f"sm-{self.label.replace(' ', '-')}"
        threading.Thread(target=what, args=(self._process, *args), name=name, daemon=True).start()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        self._hear(self, process.wait())


class WorkerProcess(Child):
    """A process that runs machines."""

    def __init__(self, number: int, *, log: Path, folder: Path, env: Mapping[str, str], hear: Hear, options: list[str]):
        super().__init__(f"process {number}", [*PROGRAM, *options], log=log, folder=folder, env=env, hear=hear)
        self.number = number
        self._socket: socket.socket | None = None

    def tell(self, order: Mapping[str, Any]) -> None:
        """Give it an order; one that does not take any is killed, and reported as such."""
        data = json.dumps(order, default=str).encode() + b"\n"
        sock = self._socket
        if sock is None:
            return
        late = threading.Timer(SEND_S, self.kill)
        late.daemon = True
        late.start()
        try:
            sock.sendall(data)
        except OSError:
            pass  # it is gone, which its exit code will tell
        finally:
            late.cancel()

    def gone(self) -> None:
        """Its exit code has been heard."""
        super().gone()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _begin(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._launch(theirs)
        self._socket.settimeout(None)
        self._watch(self._listen, self._socket)

    def _listen(self, process: subprocess.Popen[bytes], sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock.makefile("rb") as lines:
            for line in lines:
                with contextlib.suppress(ValueError):
                    self._hear(self, json.loads(line))
        self._wait(process)


def how_it_ended(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
