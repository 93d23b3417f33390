"""What other threads may see of a machine: written by its actor alone, read by anyone."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, Literal

from ..definition.model import Outcome

Status = Literal["starting", "running", "failed", "ended", "standby"]


@dataclass(slots=True, eq=False)
class MachineStatus:
    """A machine's public face."""

    name: str
    state: str
    status: Status = "starting"
    #: how it ended; None while it lives, and when it was stopped
    outcome: Outcome | None = None
    last_error: str | None = None
    #: the live dictionary: copy, do not keep
    context: dict[str, Any] = field(default_factory=dict)
    #: events that no transition took
    unhandled: int = 0
    #: what of it goes on for too long; None: nothing does
    stuck: str | None = None
    #: its actor's thread, and since when that is at one message, in monotonic seconds; None between two
    thread: int | None = None
    busy_since_s: float | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    _waiters: list[_Waiter] = field(default_factory=list)

    def enter(self, state: str) -> None:
        """The machine is in this state now; wakes those who wait for it, also when it moves on at once."""
        self.state = state
        if self._waiters:
            for waiter in tuple(self._waiters):
                if waiter.state == state:
                    waiter.wake(reached=True)

    def wait_for(self, state: str, timeout_s: float | None) -> bool:
        """Wait until the machine is in a state, or passes through it; False after `timeout_s` seconds or at its end."""
        waiter = _Waiter(state)
        self._waiters.append(waiter)
        try:
            if self.state == state:
                return True
            if not self.ended.is_set():
                waiter.woken.wait(timeout_s)
            return waiter.reached
        finally:
            self._waiters.remove(waiter)

    def end(self, outcome: Outcome | None) -> None:
        """The machine is over: nobody waits for it any longer than this."""
        self.outcome = outcome
        self.status = "ended"
        self.ended.set()
        for waiter in tuple(self._waiters):
            waiter.wake(reached=False)


class _Waiter:
    """Somebody who waits for a state."""

    def __init__(self, state: str) -> None:
        self.state = state
        self.reached = False
        self.woken = threading.Event()

    def wake(self, *, reached: bool) -> None:
        self.reached = self.reached or reached
        self.woken.set()
