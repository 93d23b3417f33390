"""Reports actors that handle one message for long, and actions that run long and cannot be cancelled."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ..machine.action_run import ActionRun
    from .machine_registry import MachineRegistry

log = logging.getLogger(__name__)

#: seconds that an actor may take for one message; it runs no action that can wait
MESSAGE_S = 10.0

MESSAGE = "a message"

#: innermost frames of a stack that are reported
DEPTH = 12

Publish = Callable[[str, str, dict[str, Any]], None]
"""Writes an audit row: machine, type, payload."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """One occurrence; equal at two looks if it is the same one."""

    machine: str
    #: for example "action poll"
    what: str
    #: monotonic seconds
    since_s: float
    thread: int


class Watchdog:
    """Reports each occurrence with the thread's stack, and again when it is over; it ends nothing.

    Commands, sleeps and coroutines can be cancelled, so they may take as long as their configuration allows. Only
    plain Python actions are reported, since nothing can end them.
    """

    def __init__(
        self,
        machine_registry: MachineRegistry,
        running: dict[Future[None], ActionRun],
        publish: Publish,
        *,
        action_s: float,
    ) -> None:
        """`action_s` is the number of seconds that an action may run; 0 switches the watchdog off."""
        self._machine_registry = machine_registry
        self._running = running
        self._publish = publish
        self._action_s = action_s
        self._known: set[Stuck] = set()

    @property
    def actors_move(self) -> bool:
        """True if no actor was stuck at the last look."""
        return not any(stuck.what == MESSAGE for stuck in self._known)

    def look(self, now_s: float) -> None:
        """Report what has changed since the last look; `now_s` is monotonic."""
        found = set(self._found(now_s)) if self._action_s else set()
        for stuck in found - self._known:
            self._report(stuck, now_s)
        for stuck in self._known - found:
            self._close(stuck, now_s)
        self._known = found

    def _found(self, now_s: float) -> Iterator[Stuck]:
        for machine in self._machine_registry.live():
            machine_status = machine.live
            since_s, thread = machine_status.busy_since_s, machine_status.thread
            if since_s is not None and thread is not None and now_s - since_s >= MESSAGE_S:
                yield Stuck(machine_status.name, MESSAGE, since_s, thread)
        for run in list(self._running.values()):
            since_s, thread = run.since_s, run.thread
            if thread is not None and now_s - since_s >= self._action_s and not run.services.cancel.listened:
                yield Stuck(run.services.machine, f"action {run.action.type}", since_s, thread)

    def _report(self, stuck: Stuck, now_s: float) -> None:
        seconds, stack = now_s - stuck.since_s, stack_of(stuck.thread)
        log.warning("%s: %s has been going on for %.0f s; it is at\n%s", stuck.machine, stuck.what, seconds, stack)
        self._note("stuck", stuck, seconds, stack=stack)

    def _close(self, stuck: Stuck, now_s: float) -> None:
        seconds = now_s - stuck.since_s
        log.warning("%s: %s is over, after %.0f s", stuck.machine, stuck.what, seconds)
        self._note("unstuck", stuck, seconds)

    def _note(self, type: str, stuck: Stuck, seconds: float, **details: str) -> None:
        self._publish(stuck.machine, type, {"what": stuck.what, "seconds": round(seconds, 1), **details})
        if (machine := self._machine_registry.get(stuck.machine)) is not None:
            machine.live.stuck = stuck.what if type == "stuck" else None


def stack_of(thread: int) -> str:
    """Return the innermost frames of a thread, as in a traceback; empty if it has ended."""
    frame = sys._current_frames().get(thread)
    return "" if frame is None else "".join(traceback.format_stack(frame)[-DEPTH:]).rstrip()
