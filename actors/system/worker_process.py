"""The processes of a system, seen from their parent: a shard runs some of the machines, and does what it is told.

A shard's standard input is a socket, and its orders and reports are lines of JSON on it. When the parent is gone,
however that happened, the socket ends and the shard stops its machines in order: none is left behind.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..processes.child_process import ChildProcess, Report

#: the shard's side of our own installation, whatever PATH and the working directory hold
PROGRAM = (sys.executable, "-P", "-m", "statemachine_engine.cli.system.worker_process")

#: seconds that a shard may take no orders; then it hangs
SEND_S = 10.0


class WorkerProcess(ChildProcess):
    """A process that runs machines."""

    def __init__(
        self, number: int, *, log: Path, folder: Path, env: Mapping[str, str], report: Report, options: list[str]
    ) -> None:
        super().__init__(f"process {number}", [*PROGRAM, *options], log=log, folder=folder, env=env, report=report)
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
                    self._report(self, json.loads(line))
        self._wait(process)
