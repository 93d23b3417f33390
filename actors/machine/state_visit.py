"""A machine's stay in one state: its timers, what it parked and what it put off, all of which end with it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..concurrency.wait_board import Wait
from .messages import Resume, TimerFired, Woken

if TYPE_CHECKING:
    from ..concurrency.timers import Timer
    from ..definition.model import ActionSpec, Transition
    from .action_run import Parked
    from .dependencies import ProcessResources


class StateVisit:
    """Made at each entry, ended when the state is left; belongs to the actor's thread.

    `tell` puts a message into the actor's inbox, from any thread; messages carry the stay's number, so that one of a
    stay that has ended is known for what it is.
    """

    def __init__(
        self,
        number: int,
        actions: tuple[ActionSpec, ...],
        machine: str,
        resources: ProcessResources,
        tell: Callable[[Any], None],
    ) -> None:
        self.number = number
        #: what entering the state runs
        self.actions = actions
        #: how often the actions have been tried again
        self.tries = 0
        #: event of each armed timeout -> epoch seconds at which it is due
        self.deadlines: dict[str, float] = {}
        #: what was put off and is due: it waits for the actions that run meanwhile, those of an internal transition
        self.due: deque[Callable[[], None]] = deque()
        #: places of parked actions to be run again
        self.woken: set[int] = set()
        self._machine = machine
        self._resources = resources
        self._tell = tell
        self._began_s = time.monotonic()
        self._timers: list[Timer] = []
        self._parked: dict[int, Parked] = {}
        self._put_off: dict[int, Callable[[], None]] = {}
        self._delays = 0

    @property
    def lasted_s(self) -> float:
        """Seconds since the state was entered."""
        return time.monotonic() - self._began_s

    @property
    def goes_on(self) -> bool:
        """Something was put off: it moves on by itself."""
        return bool(self._put_off or self.due)

    def arm(self, transition: Transition, delay_s: float) -> None:
        """Fire the transition's event after the delay."""
        self.deadlines[transition.event] = self._resources.db.clock.now() + delay_s
        self._after(delay_s, TimerFired(self.number, transition.event))

    def put_off(self, delay_s: float, action: Callable[[], None]) -> None:
        """Make something due after the delay: a paced self-transition, a retry."""
        self._delays += 1
        self._put_off[self._delays] = action
        self._after(delay_s, Resume(self.number, self._delays))

    def resume(self, message: Resume) -> None:
        """A delay is over."""
        action = self._put_off.pop(message.delay, None) if message.entry == self.number else None
        if action is not None:
            self.due.append(action)

    def park(self, parked: Parked) -> None:
        """Have an action run again when what it watches for happens, or when its time has come."""
        woken = Woken(self.number, parked.action)
        self._parked[parked.action] = parked
        if parked.topic is not None and not self._watches(parked, woken):
            self.woken.add(parked.action)
        elif parked.every_s is not None:
            self._after(parked.every_s, woken)

    def wake(self, message: Woken) -> None:
        """A parked action is to be run again."""
        if message.entry == self.number and message.action in self._parked:
            self.woken.add(message.action)

    def unpark(self, action: int) -> bool:
        """It is run again now; False when it is not parked (any more)."""
        parked = self._parked.pop(action, None)
        if parked is not None:
            self._leave(parked)
        return parked is not None

    def end(self) -> None:
        """The state is left; idempotent."""
        for timer in self._timers:
            timer.cancel()
        for parked in self._parked.values():
            self._leave(parked)
        for left in (self._timers, self._parked, self._put_off, self.due, self.woken, self.deadlines):
            left.clear()

    def _watches(self, parked: Parked, woken: Woken) -> bool:
        """False: what it watches for has happened since it looked."""
        assert parked.topic is not None
        watch = Wait(parked.topic, parked.key, lambda: self._tell(woken))
        return self._resources.wait_board.park(watch, (self._machine, self.number, parked.action), parked.version)

    def _leave(self, parked: Parked) -> None:
        if parked.topic is not None:
            self._resources.wait_board.leave(parked.topic, (self._machine, self.number, parked.action))

    def _after(self, delay_s: float, message: Any) -> None:
        self._timers.append(self._resources.timers.after(delay_s, lambda: self._tell(message)))
