"""A system that runs: its shards, what is told to them, and what they report, in one loop of one thread."""

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
from ..processes.systemd import Systemd, in_short
from . import cleanup
from .hooks import run_hook
from .supervision import Supervision
from .worker_process import Child, WorkerProcess, how_it_ended

if TYPE_CHECKING:
    from .manifest import Manifest
    from .supervision import SupervisedMachine

log = logging.getLogger(__name__)

#: seconds that machines have to end once their actions are cut off; then their processes are killed
CUT_OFF_S = 8.0

#: seconds that a process has to end when nothing runs in it
END_S = 15.0

Ready = Callable[["str | None"], None]
"""Told once: None when all machines are ready, or why they will never be."""


@dataclass(slots=True)
class Request:
    """What another process asks of the system; the answer is put into `reply`, if need be much later."""

    what: str
    name: str = ""
    reply: queue.SimpleQueue[dict[str, Any]] = field(default_factory=queue.SimpleQueue)


@dataclass(slots=True)
class _Said:
    child: Child
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
        """`env` holds database and sockets, for shards and hooks; `page` is the command that serves the page."""
        self._systemd = systemd or Systemd({})
        self._manifest, self._env, self._ready = manifest, env, ready
        self.plan = Supervision(manifest.members)
        self._inbox: queue.SimpleQueue[_Said | Request | int] = queue.SimpleQueue()
        shards = {number: self._shard(number, debug) for number in set(manifest.placement.values())}
        self._shards = list(shards.values())
        self._shard_of = {name: shards[number] for name, number in manifest.placement.items()}
        self._page: Child | None = None
        if page is not None:
            log_file = manifest.logs_dir / "page.log"
            self._page = Child("page", page, log=log_file, folder=manifest.folder, env=env, hear=self._hear)
        #: machines that had failed when the system began to stop
        self.failed: list[SupervisedMachine] = []
        #: a machine could not start because another process runs it
        self.taken = False
        self._told_ready = False
        self._obeyed: int | None = None
        self._hurried = False
        self._deadline_s = self._kill_at_s = 0.0
        self._waiting: list[Request] = []
        self._began_s = system_clock.now()

    # From other threads and signal handlers

    def signalled(self, number: int) -> None:
        """The first signal stops the system in order; the second one does not wait for running actions."""
        self._inbox.put(number)

    def ask(self, request: Request) -> None:
        """Put a request; its reply comes when it is done."""
        self._inbox.put(request)

    def report(self) -> list[str]:
        """A line for the system and for each machine, for an operator who looks for what hangs."""
        status = self.status()
        machines = [
            "machine {machine_name}: {status} in process {process} (pid {pid}), restarts: {restarts}".format_map(
                machine
            )
            for machine in status["machines"]
        ]
        return ["system {project}: {phase}".format_map(status), *machines]

    # The loop

    def run(self) -> int | None:
        """Until nothing runs any more; the signal that ended it, if one did."""
        well = self._hook("pre_start")
        while not self._inbox.empty():  # whoever does not want it any more
            self._take(self._inbox.get())
        if not well:
            self._tell_ready("a pre_start hook failed")
            return self._obeyed
        try:
            if not self.plan.closing:
                self._begin()
            while not self._finished():
                self._advance()
                self._systemd.alive(self._in_short())
                with contextlib.suppress(queue.Empty):
                    self._take(self._inbox.get(timeout=self._pause_s()))
        finally:
            self._close()
        return self._obeyed

    def _begin(self) -> None:
        self.plan.begin()
        if self._page is not None and (problem := self._page.start()) is not None:
            log.error("%s", problem)

    def _advance(self) -> None:
        """Do what can be done now."""
        for track in self.plan.take_startable(time.monotonic()):
            self._start(track)
        if not self.plan.closing and self.plan.ready:
            self._tell_ready(None)
        elif not self._told_ready and self.plan.given_up:
            self._tell_ready(describe(self.plan.given_up))
            self._begin_stop()
        if self.plan.closing:
            self._stop_next()
        self._answer()

    def _finished(self) -> bool:
        if not self.plan.closing and self.plan.over:
            self._tell_ready(None if self.plan.ready else describe(self.plan.given_up) or "nothing can start")
            self._begin_stop()
        return self.plan.closing and not self.plan.alive

    def _pause_s(self) -> float | None:
        """Until something is due; None: until something happens."""
        due_s = self._kill_at_s if self.plan.closing else self.plan.next_due_s()
        pause_s = math.inf if due_s is None else max(0.0, due_s - time.monotonic())
        pause_s = min(pause_s, self._systemd.interval_s or math.inf)
        return None if pause_s == math.inf else pause_s

    def _in_short(self) -> str:
        return in_short(len(self.plan.alive), len(self.plan.failed))

    def _take(self, message: _Said | Request | int) -> None:
        if isinstance(message, Request):
            self._serve(message)
        elif isinstance(message, int):
            self._obey(message)
        elif isinstance(message.what, int):
            self._exited(message.child, message.what)
        else:
            self._reported(message.what)

    # Machines

    def _start(self, track: SupervisedMachine) -> None:
        shard, member = self._shard_of[track.name], track.member
        if (problem := shard.start()) is not None:
            self.plan.lost(track.name, problem, time.monotonic())
            self._tell_of_failure(track.name)
            return
        shard.tell(
            {
                "do": "start",
                "name": member.name,
                "config": str(member.config),
                "context": dict(member.context),
                "actions_dir": None if member.actions_dir is None else str(member.actions_dir),
            }
        )

    def _stop(self, track: SupervisedMachine) -> None:
        grace_s = self._manifest.grace_s
        if self.plan.closing:
            grace_s = max(0.0, self._deadline_s - time.monotonic())
            self._kill_at_s = time.monotonic() + grace_s + CUT_OFF_S  # the one told last has as long as the first
        self._shard_of[track.name].tell({"do": "stop", "name": track.name, "grace_s": grace_s})

    def _reported(self, report: Mapping[str, Any]) -> None:
        name, now_s = report["name"], time.monotonic()
        shard = self._shard_of[name]
        match report["is"]:
            case "running":
                self.plan.running(name)
                log.info("%s: running in %s (pid %s)", name, shard.label, shard.pid)
            case "ended":
                log.info("%s: ended%s", name, f" in {report['outcome']}" if report["outcome"] else "")
                self.plan.ended(name, report["outcome"], now_s)
            case "stuck":
                log.error("%s: failed: %s", name, report["error"])
                self.plan.stuck(name, report["error"] or "it cannot go on")
            case "refused":
                self.taken = self.taken or report["taken"]
                self.plan.lost(name, report["error"], now_s, excused=self._told_ready and report["store_away"])
        self._tell_of_failure(name)

    def _exited(self, child: Child, code: int) -> None:
        pid = child.pid
        child.gone()
        if child is self._page:
            log.error("the page %s; see %s", how_it_ended(code), child.log)
            return
        lost = [track for track in self.plan.alive if self._shard_of[track.name] is child]
        level = logging.ERROR if lost and not self.plan.closing else logging.INFO
        why = f"{child.label} (pid {pid}) {how_it_ended(code)}; see {child.log}"
        log.log(level, "%s", why)
        store_away = not cleanup.clear([track.name for track in lost], pid, self._env)
        for track in lost:
            self.plan.lost(track.name, why, time.monotonic(), excused=self._told_ready and store_away)
            self._tell_of_failure(track.name)

    def _tell_of_failure(self, name: str) -> None:
        track = self.plan.tracks[name]
        if track.phase == "failed":
            log.error("%s: given up: %s", name, track.error)
        elif track.phase == "waiting" and (track.failures or track.excused):
            log.warning(
                "%s: starts again in %.2g s: %s", name, track.due_s - time.monotonic(), track.error or "it ended"
            )

    # Requests

    def _serve(self, request: Request) -> None:
        if request.what == "status":
            request.reply.put(self.status())
            return
        if request.what == "down":
            log.info("down: stopping")
            self._begin_stop()  # the answer is that we are gone
        elif not self.plan.closing:
            self._restart(request)
        self._waiting.append(request)

    def _restart(self, request: Request) -> None:
        for track in self._meant(request):
            if track.phase in ("starting", "running"):
                self.plan.stop(track.name, again=True)
                self._stop(track)
            elif track.phase == "stopping":
                track.again = True
            else:
                self.plan.start(track.name, time.monotonic())

    def _answer(self) -> None:
        """Reply to those whose wish has come true, or never will."""
        for request in [request for request in self._waiting if request.what == "restart"]:
            meant = self._meant(request)
            error = self._refusal(request, meant)
            if error is not None or all(track.phase in ("running", "ended") for track in meant):
                self._waiting.remove(request)
                request.reply.put({"error": error})

    def _refusal(self, request: Request, meant: list[SupervisedMachine]) -> str | None:
        if not meant:
            return f"there is no machine {request.name!r} in this system"
        if self.plan.closing:
            return "the system stops"
        for track in meant:
            if track.phase == "failed":
                return f"{track.name}: {track.error}"
            if track.phase == "waiting" and track.excused:
                return f"{track.name}: {track.error}; it is tried again"
            if track.phase == "waiting" and (others := self.plan.blocked_by(track.name)):
                return f"{track.name} waits for {', '.join(other.name for other in others)}"
        return None

    def _meant(self, request: Request) -> list[SupervisedMachine]:
        return [self.plan.tracks[member.name] for member in self._manifest.named(request.name)]

    def status(self) -> dict[str, Any]:
        """How it stands, ready for JSON."""
        phase = "stopping" if self.plan.closing else "up" if self._told_ready else "starting"
        return {
            "project": self._manifest.project,
            "manifest": str(self._manifest.source),
            "pid": os.getpid(),
            "phase": phase,
            "since": self._began_s,
            "machines": [
                {
                    "machine_name": track.name,
                    "status": "failed" if track in self.plan.failed else track.phase,
                    "process": self._shard_of[track.name].number,
                    "pid": self._shard_of[track.name].pid,
                    "restarts": track.restarts,
                    "error": track.error,
                }
                for track in self.plan.tracks.values()
            ],
        }

    # The end

    def _obey(self, number: int) -> None:
        """The first signal stops the system, the second one does not wait for running actions."""
        if self._obeyed is None:
            self._obeyed = number
            log.info("%s: stopping; a second signal does not wait for running actions", signal.Signals(number).name)
            self._begin_stop()
            return
        if self._hurried:  # whoever is impatient shall not put off the end of what hangs
            return
        self._hurried = True
        self._deadline_s = time.monotonic()
        for track in self.plan.alive:
            self.plan.stop(track.name)
            self._stop(track)

    def _begin_stop(self) -> None:
        if self.plan.closing:
            return
        self._systemd.stopping()
        if self.plan.alive:
            self._hook("pre_stop")
        self.failed = self.plan.failed
        self._deadline_s = time.monotonic() + self._manifest.grace_s
        self._kill_at_s = self._deadline_s + CUT_OFF_S
        self.plan.close()

    def _stop_next(self) -> None:
        """Machines that no other one needs any more; processes that were told so and do not stop are killed."""
        for track in self.plan.take_stoppable():
            self._stop(track)
        if time.monotonic() >= self._kill_at_s:
            self._deadline_s = time.monotonic()
            self._kill_at_s = self._deadline_s + CUT_OFF_S
            for shard in {self._shard_of[track.name] for track in self.plan.alive if track.phase == "stopping"}:
                log.error("%s does not stop: killed", shard.label)
                shard.kill()

    def _close(self) -> None:
        """End the processes, which have nothing left to run, and wait for them."""
        children = [child for child in (*self._shards, self._page) if child is not None and child.pid is not None]
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
            if isinstance(message, _Said) and isinstance(message.what, int):
                message.child.gone()

    # Helpers

    def _shard(self, number: int, debug: bool) -> WorkerProcess:
        options = [self._manifest.project, str(number), str(self._manifest.grace_s), *(["--debug"] if debug else [])]
        return WorkerProcess(
            number, log=self._manifest.logs_dir / f"process-{number}.log", folder=self._manifest.folder, env=self._env,
            hear=self._hear, options=options,
        )  # fmt: skip

    def _hear(self, child: Child, what: dict[str, Any] | int) -> None:
        self._inbox.put(_Said(child, what))

    def _tell_ready(self, problem: str | None) -> None:
        if self._told_ready:
            return
        self._told_ready = True
        if problem is None:
            self._hook("post_start")
        self._ready(problem)

    def _hook(self, name: str) -> bool:
        return run_hook(name, self._manifest.hooks.get(name, ()), folder=self._manifest.folder, env=self._env)


def describe(tracks: list[SupervisedMachine]) -> str:
    """Which machines failed, and why."""
    return "; ".join(f"{track.name}: {track.error}" for track in tracks)
