"""The status of a machine for other threads: only the actor changes it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, Literal

from ..definition.model import Outcome

Status = Literal["starting", "running", "failed", "ended", "standby"]


@dataclass(slots=True, eq=False)
class MachineStatus:
    """The state and status of one machine."""

    name: str
    state: str
    status: Status = "starting"
    #: the outcome of its end; None before, and if it was stopped
    outcome: Outcome | None = None
    last_error: str | None = None
    #: the dictionary that actions change: copy it before use
    context: dict[str, Any] = field(default_factory=dict)
    #: number of events that no transition took
    unhandled: int = 0
    #: what has taken too long, as the watchdog found it; None if nothing has
    stuck: str | None = None
    #: the actor's thread, and the monotonic time at which it began to handle its message; None between two messages
    thread: int | None = None
    busy_since_s: float | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    _waiters: list[_Waiter] = field(default_factory=list)

    def enter(self, state: str) -> None:
        """Set the state, and notify the threads that wait for it, also if the machine moves on at once."""
        self.state = state
        if self._waiters:
            for waiter in tuple(self._waiters):
                if waiter.state == state:
                    waiter.notify(reached=True)

    def wait_for(self, state: str, timeout_s: float | None) -> bool:
        """Wait until the machine enters a state; False after `timeout_s` seconds, or if it ends before."""
        waiter = _Waiter(state)
        self._waiters.append(waiter)
        try:
            if self.state == state:
                return True
            if not self.ended.is_set():
                waiter.notified.wait(timeout_s)
            return waiter.reached
        finally:
            self._waiters.remove(waiter)

    def end(self, outcome: Outcome | None) -> None:
        """Set the outcome, and notify all threads that wait."""
        self.outcome = outcome
        self.status = "ended"
        self.ended.set()
        for waiter in tuple(self._waiters):
            waiter.notify(reached=False)


class _Waiter:
    """A thread that waits for a state."""

    def __init__(self, state: str) -> None:
        self.state = state
        self.reached = False
        self.notified = threading.Event()

    def notify(self, *, reached: bool) -> None:
        self.reached = self.reached or reached
        self.notified.set()
