"""The worker processes of a system, as their parent sees them: each runs some of the machines.

A worker process's standard input is a socket; orders and reports are lines of JSON on it. When the parent ends for any
reason, the socket ends, and the worker process stops its machines in order.
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

#: the command of this installation, independent of PATH and the working directory
PROGRAM = (sys.executable, "-P", "-m", "statemachine_engine.cli.system.worker_process")

#: seconds after which a worker process that reads no orders is killed
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
        """Send an order; kill the process if it does not read it."""
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
            pass  # it has ended; its exit code is reported
        finally:
            late.cancel()

    def gone(self) -> None:
        """Forget the process after its end, and close the socket."""
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
