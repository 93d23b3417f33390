"""A worker process of a system: starts and stops machines as its parent orders, until the parent is gone."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
from typing import Any

from ...actors.errors import ConfigError, MachineError
from ...actors.runtime.machine import Machine, WaitTimeout
from ...actors.runtime.runtime import Runtime
from ...actors.runtime.thread_dump import report_of
from ...storage.errors import MachineTaken, StorageError, StoreUnavailable
from ..program import DONE, FAILED
from ..run import leave, logging_to_stderr
from ..signals import ending_signals

_log = logging.getLogger("statemachine_engine.cli.system.worker_process")


class WorkerProgram:
    """The runtime of the process, and the socket to its parent."""

    def __init__(self, parent: socket.socket, runtime: Runtime) -> None:
        self._parent = parent
        self._sending = threading.Lock()
        self._runtime = runtime
        self._leaving = False
        runtime.on_broken = self._leave

    def run(self) -> None:
        """Follow orders until the socket ends; then stop all machines in order."""
        self._runtime.start()
        try:
            self._runtime.subscribe(self._report_stuck)
            with self._parent.makefile("rb") as orders:
                for line in orders:
                    self._follow(json.loads(line))
        finally:
            self._runtime.stop()

    def signalled(self, _number: int) -> None:
        """Stop the machines after their running actions; at a second signal, at once."""
        if self._leaving:
            self._runtime.hurry()
        self._leave()

    def _leave(self) -> None:
        """End as if the parent had gone."""
        self._leaving = True
        self._parent.shutdown(socket.SHUT_RD)

    def _follow(self, order: dict[str, Any]) -> None:
        if order["do"] == "start":
            self._start(order)
        else:
            threading.Thread(target=self._stop, args=(order,), name=f"sm-stop-{order['name']}", daemon=True).start()

    def _start(self, order: dict[str, Any]) -> None:
        name, actions_dir = order["name"], order["actions_dir"]
        try:
            machine = self._runtime.add(order["config"], name, order["context"], actions_dir=actions_dir)
        except (ConfigError, MachineError, MachineTaken, StorageError, OSError) as error:
            _log.error("%s: cannot start: %s", name, error)
            taken, store_away = isinstance(error, MachineTaken), isinstance(error, StoreUnavailable)
            refusal = {"name": name, "is": "refused", "error": str(error), "taken": taken, "store_away": store_away}
            self._report(refusal)
            return
        _log.info("%s: %s, from %s", name, machine.status, order["config"])
        self._report({"name": name, "is": "running"})
        threading.Thread(target=self._report_end, args=(machine,), name=f"sm-end-{name}", daemon=True).start()

    def _stop(self, order: dict[str, Any]) -> None:
        """Stop a machine after its current job, or when the grace is over."""
        try:
            machine = self._runtime.machine(order["name"])
            machine.stop()
            machine.wait(order["grace_s"])
        except KeyError:
            _log.debug("%s: was never started here", order["name"])
        except WaitTimeout:
            machine.stop(drain=False)

    def _report_end(self, machine: Machine) -> None:
        outcome = machine.wait()
        _log.info("%s: %s in state %s", machine.name, outcome or "stopped", machine.state)
        self._report({"name": machine.name, "is": "ended", "outcome": outcome})

    def _report_stuck(self, envelope: dict[str, Any]) -> None:
        if envelope["type"] == "machine_failed":
            error = envelope["payload"].get("error_message")
            self._report({"name": envelope["machine_name"], "is": "stuck", "error": error})

    def _report(self, report: dict[str, Any]) -> None:
        try:
            with self._sending:
                self._parent.sendall(json.dumps(report, default=str).encode() + b"\n")
        except OSError:
            _log.debug("the parent is gone: %s", report)


def main() -> None:
    """Run as `worker_process PROJECT NUMBER GRACE_S [--debug]`; environment and standard input have the rest."""
    with logging_to_stderr("--debug" in sys.argv):
        runtime = Runtime(grace_s=float(sys.argv[3]))
        program = WorkerProgram(_parent(), runtime)
        try:
            with ending_signals(program.signalled, lambda: report_of(runtime)):
                program.run()
        except StorageError as error:
            _log.error("%s", error)
            sys.exit(FAILED)
        sys.exit(leave(runtime, FAILED if runtime.broken else DONE))


def _parent() -> socket.socket:
    """Return the socket on standard input; commands that machines start do not inherit it."""
    parent = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return parent


if __name__ == "__main__":
    main()
