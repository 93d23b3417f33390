"""A running system: one thread that reads reports of worker processes, and gives them orders."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import queue
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...storage.clock import system_clock
from ..processes.child_process import ChildProcess, how_it_ended
from ..processes.systemd import Systemd, in_short
from . import cleanup
from .hooks import run_hook
from .supervision import Supervision
from .worker_process import WorkerProcess

if TYPE_CHECKING:
    from .manifest import Manifest
    from .supervision import SupervisedMachine

log = logging.getLogger(__name__)

#: seconds that machines get after their actions are cut off, before their processes are killed
CUT_OFF_S = 8.0

#: seconds that a process without machines gets to end
END_S = 15.0

Ready = Callable[["str | None"], None]
"""Called once: with None when all machines are ready, or with the reason why they never will be."""


@dataclass(slots=True)
class Request:
    """A request of another process; the answer is put into `reply`, possibly much later."""

    what: str
    name: str = ""
    reply: queue.SimpleQueue[dict[str, Any]] = field(default_factory=queue.SimpleQueue)


@dataclass(slots=True)
class _ChildMessage:
    child: ChildProcess
    what: dict[str, Any] | int


class System:
    """Keeps the machines of a manifest running until it is stopped or nothing is left to run."""

    def __init__(
        self,
        manifest: Manifest,
        env: Mapping[str, str],
        *,
        ready: Ready,
        page: list[str] | None = None,
        debug: bool = False,
        systemd: Systemd | None = None,
    ) -> None:
        """`env` is for worker processes and hooks; `page` is the command that serves the page."""
        self._systemd = systemd or Systemd({})
        self._manifest, self._env, self._ready = manifest, env, ready
        self.supervision = Supervision(manifest.members)
        self._inbox: queue.SimpleQueue[_ChildMessage | Request | int] = queue.SimpleQueue()
        workers = {number: self._make_worker(number, debug) for number in set(manifest.placement.values())}
        self._workers = list(workers.values())
        self._worker_of = {name: workers[number] for name, number in manifest.placement.items()}
        self._page: ChildProcess | None = None
        if page is not None:
            log_file = manifest.logs_dir / "page.log"
            self._page = ChildProcess("page", page, log=log_file, folder=manifest.folder, env=env, report=self._receive)
        #: machines that had failed when the system began to stop
        self.failed: list[SupervisedMachine] = []
        #: True if a machine could not start because another process runs it
        self.taken = False
        self._announced = False
        self._first_signal: int | None = None
        self._second_signal = False
        self._deadline_s = self._kill_at_s = 0.0
        self._waiting: list[Request] = []
        self._began_s = system_clock.now()

    # From other threads and signal handlers

    def signalled(self, number: int) -> None:
        """Stop the system in order; a second signal does not wait for running actions. Any thread."""
        self._inbox.put(number)

    def ask(self, request: Request) -> None:
        """Queue a request; its reply comes when it is done. Any thread."""
        self._inbox.put(request)

    def report(self) -> list[str]:
        """Return a line for the system and one for each machine, for the log."""
        status = self.status()
        line = "machine {machine_name}: {status} in process {process} (pid {pid}), restarts: {restarts}"
        machines = [line.format_map(machine) for machine in status["machines"]]
        return ["system {project}: {phase}".format_map(status), *machines]

    # The loop

    def run(self) -> int | None:
        """Run until no machine runs any more; return the signal that ended it, if one did."""
        well = self._hook("pre_start")
        while not self._inbox.empty():  # a stop that came while the hook ran
            self._handle(self._inbox.get())
        if not well:
            self._announce("a pre_start hook failed")
            return self._first_signal
        try:
            if not self.supervision.closing:
                self._begin()
            while not self._finished():
                self._advance()
                self._systemd.alive(in_short(len(self.supervision.alive), len(self.supervision.failed)))
                with contextlib.suppress(queue.Empty):
                    self._handle(self._inbox.get(timeout=self._pause_s()))
        finally:
            self._close()
        return self._first_signal

    def _begin(self) -> None:
        self.supervision.begin()
        if self._page is not None and (problem := self._page.start()) is not None:
            log.error("%s", problem)

    def _advance(self) -> None:
        """Start, stop and answer what is possible now."""
        for machine in self.supervision.take_startable(time.monotonic()):
            self._start(machine)
        if not self.supervision.closing and self.supervision.ready:
            self._announce(None)
        elif not self._announced and self.supervision.given_up:
            self._announce(describe(self.supervision.given_up))
            self._begin_stop()
        if self.supervision.closing:
            self._stop_next()
        self._answer()

    def _finished(self) -> bool:
        if not self.supervision.closing and self.supervision.over:
            self._announce(
                None if self.supervision.ready else describe(self.supervision.given_up) or "nothing can start"
            )
            self._begin_stop()
        return self.supervision.closing and not self.supervision.alive

    def _pause_s(self) -> float | None:
        """Return the seconds until something is due; None to wait without limit."""
        due_s = self._kill_at_s if self.supervision.closing else self.supervision.next_due_s()
        pause_s = math.inf if due_s is None else max(0.0, due_s - time.monotonic())
        pause_s = min(pause_s, self._systemd.interval_s or math.inf)
        return None if pause_s == math.inf else pause_s

    def _handle(self, message: _ChildMessage | Request | int) -> None:
        if isinstance(message, Request):
            self._serve(message)
        elif isinstance(message, int):
            self._handle_signal(message)
        elif isinstance(message.what, int):
            self._exited(message.child, message.what)
        else:
            self._reported(message.what)

    # Machines

    def _start(self, machine: SupervisedMachine) -> None:
        worker, member = self._worker_of[machine.name], machine.member
        if (problem := worker.start()) is not None:
            self.supervision.lost(machine.name, problem, time.monotonic())
            self._log_failure(machine.name)
            return
        worker.tell(
            {
                "do": "start",
                "name": member.name,
                "config": str(member.config),
                "context": dict(member.context),
                "actions_dir": None if member.actions_dir is None else str(member.actions_dir),
            }
        )

    def _stop(self, machine: SupervisedMachine) -> None:
        grace_s = self._manifest.grace_s
        if self.supervision.closing:
            grace_s = max(0.0, self._deadline_s - time.monotonic())
            self._kill_at_s = time.monotonic() + grace_s + CUT_OFF_S  # the last one gets as much time as the first
        self._worker_of[machine.name].tell({"do": "stop", "name": machine.name, "grace_s": grace_s})

    def _reported(self, report: Mapping[str, Any]) -> None:
        name, now_s = report["name"], time.monotonic()
        worker = self._worker_of[name]
        match report["is"]:
            case "running":
                self.supervision.running(name)
                log.info("%s: running in %s (pid %s)", name, worker.label, worker.pid)
            case "ended":
                log.info("%s: ended%s", name, f" in {report['outcome']}" if report["outcome"] else "")
                self.supervision.ended(name, report["outcome"], now_s)
            case "stuck":
                log.error("%s: failed: %s", name, report["error"])
                self.supervision.stuck(name, report["error"] or "it cannot go on")
            case "refused":
                self.taken = self.taken or report["taken"]
                self.supervision.lost(name, report["error"], now_s, excused=self._announced and report["store_away"])
        self._log_failure(name)

    def _exited(self, child: ChildProcess, code: int) -> None:
        pid = child.pid
        child.gone()
        if child is self._page:
            log.error("the page %s; see %s", how_it_ended(code), child.log)
            return
        lost = [machine for machine in self.supervision.alive if self._worker_of[machine.name] is child]
        level = logging.ERROR if lost and not self.supervision.closing else logging.INFO
        why = f"{child.label} (pid {pid}) {how_it_ended(code)}; see {child.log}"
        log.log(level, "%s", why)
        store_away = not cleanup.clear([machine.name for machine in lost], pid, self._env)
        for machine in lost:
            self.supervision.lost(machine.name, why, time.monotonic(), excused=self._announced and store_away)
            self._log_failure(machine.name)

    def _log_failure(self, name: str) -> None:
        machine = self.supervision.machines[name]
        if machine.phase == "failed":
            log.error("%s: given up: %s", name, machine.error)
        elif machine.phase == "waiting" and (machine.failures or machine.excused):
            log.warning(
                "%s: starts again in %.2g s: %s", name, machine.due_s - time.monotonic(), machine.error or "it ended"
            )

    # Requests

    def _serve(self, request: Request) -> None:
        if request.what == "status":
            request.reply.put(self.status())
            return
        if request.what == "down":
            log.info("down: stopping")
            self._begin_stop()  # the end of this process is the answer
        elif not self.supervision.closing:
            self._restart(request)
        self._waiting.append(request)

    def _restart(self, request: Request) -> None:
        for machine in self._machines_of(request):
            if machine.phase in ("starting", "running"):
                self.supervision.stop(machine.name, restart=True)
                self._stop(machine)
            elif machine.phase == "stopping":
                machine.restarting = True
            else:
                self.supervision.start(machine.name, time.monotonic())

    def _answer(self) -> None:
        """Reply to restart requests that are done or have failed."""
        for request in [request for request in self._waiting if request.what == "restart"]:
            machines = self._machines_of(request)
            error = self._refusal(request, machines)
            if error is not None or all(machine.phase in ("running", "ended") for machine in machines):
                self._waiting.remove(request)
                request.reply.put({"error": error})

    def _refusal(self, request: Request, machines: list[SupervisedMachine]) -> str | None:
        if not machines:
            return f"there is no machine {request.name!r} in this system"
        if self.supervision.closing:
            return "the system stops"
        for machine in machines:
            if machine.phase == "failed":
                return f"{machine.name}: {machine.error}"
            if machine.phase == "waiting" and machine.excused:
                return f"{machine.name}: {machine.error}; it is retried"
            if machine.phase == "waiting" and (others := self.supervision.blocked_by(machine.name)):
                return f"{machine.name} waits for {', '.join(other.name for other in others)}"
        return None

    def _machines_of(self, request: Request) -> list[SupervisedMachine]:
        return [self.supervision.machines[member.name] for member in self._manifest.named(request.name)]

    def status(self) -> dict[str, Any]:
        """Return the status, ready for JSON."""
        phase = "stopping" if self.supervision.closing else "up" if self._announced else "starting"
        return {
            "project": self._manifest.project,
            "manifest": str(self._manifest.source),
            "pid": os.getpid(),
            "phase": phase,
            "since": self._began_s,
            "machines": [
                {
                    "machine_name": machine.name,
                    "status": "failed" if machine in self.supervision.failed else machine.phase,
                    "process": self._worker_of[machine.name].number,
                    "pid": self._worker_of[machine.name].pid,
                    "restarts": machine.restarts,
                    "error": machine.error,
                }
                for machine in self.supervision.machines.values()
            ],
        }

    # The end

    def _handle_signal(self, number: int) -> None:
        """Stop the system at the first signal; at the second, do not wait for running actions."""
        if self._first_signal is None:
            self._first_signal = number
            log.info("%s: stopping; a second signal does not wait for running actions", signal.Signals(number).name)
            self._begin_stop()
            return
        if self._second_signal:  # a third signal must not extend the time of what hangs
            return
        self._second_signal = True
        self._deadline_s = time.monotonic()
        for machine in self.supervision.alive:
            self.supervision.stop(machine.name)
            self._stop(machine)

    def _begin_stop(self) -> None:
        if self.supervision.closing:
            return
        self._systemd.stopping()
        if self.supervision.alive:
            self._hook("pre_stop")
        self.failed = self.supervision.failed
        self._deadline_s = time.monotonic() + self._manifest.grace_s
        self._kill_at_s = self._deadline_s + CUT_OFF_S
        self.supervision.close()

    def _stop_next(self) -> None:
        """Stop machines that nothing depends on any more; kill processes whose time is over."""
        for machine in self.supervision.take_stoppable():
            self._stop(machine)
        if time.monotonic() >= self._kill_at_s:
            self._deadline_s = time.monotonic()
            self._kill_at_s = self._deadline_s + CUT_OFF_S
            for worker in {
                self._worker_of[machine.name] for machine in self.supervision.alive if machine.phase == "stopping"
            }:
                log.error("%s does not stop: killed", worker.label)
                worker.kill()

    def _close(self) -> None:
        """End the processes, in which no machine runs any more, and wait for them."""
        children = [child for child in (*self._workers, self._page) if child is not None and child.pid is not None]
        for child in children:
            child.terminate()
        deadline_s = time.monotonic() + END_S
        while any(child.pid is not None for child in children):
            left_s = deadline_s - time.monotonic()
            try:
                message = self._inbox.get(timeout=max(0.0, left_s))
            except queue.Empty:
                for child in children:
                    child.kill()
                deadline_s += END_S
                continue
            if isinstance(message, _ChildMessage) and isinstance(message.what, int):
                message.child.gone()

    # Helpers

    def _make_worker(self, number: int, debug: bool) -> WorkerProcess:
        options = [self._manifest.project, str(number), str(self._manifest.grace_s), *(["--debug"] if debug else [])]
        return WorkerProcess(
            number, log=self._manifest.logs_dir / f"process-{number}.log", folder=self._manifest.folder, env=self._env,
            report=self._receive, options=options,
        )  # fmt: skip

    def _receive(self, child: ChildProcess, what: dict[str, Any] | int) -> None:
        self._inbox.put(_ChildMessage(child, what))

    def _announce(self, problem: str | None) -> None:
        if self._announced:
            return
        self._announced = True
        if problem is None:
            self._hook("post_start")
        self._ready(problem)

    def _hook(self, name: str) -> bool:
        return run_hook(name, self._manifest.hooks.get(name, ()), folder=self._manifest.folder, env=self._env)


def describe(machines: list[SupervisedMachine]) -> str:
    """Return which machines failed, and why."""
    return "; ".join(f"{machine.name}: {machine.error}" for machine in machines)
