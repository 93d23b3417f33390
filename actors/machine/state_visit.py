"""The visit of a machine to one state: its timers, waiting actions and delayed moves, all of which end with it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..concurrency.wait_board import Wait
from .messages import DelayOver, RerunDue, TimerFired

if TYPE_CHECKING:
    from ..concurrency.timers import Timer
    from ..definition.model import ActionSpec, Transition
    from .action_run import WaitingAction
    from .dependencies import ProcessResources


class StateVisit:
    """Made at each entry of a state, ended when the state is left; used in the actor's thread.

    `tell` puts a message into the actor's inbox, from any thread. Messages carry the number of the visit, so that those
    of an earlier visit can be told apart.
    """

    def __init__(
        self,
        number: int,
        actions: tuple[ActionSpec, ...],
        resources: ProcessResources,
        tell: Callable[[Any], None],
    ) -> None:
        self.number = number
        #: the actions that entering the state runs
        self.actions = actions
        #: number of times that the actions were tried again
        self.retries = 0
        #: event of each armed timeout -> epoch seconds at which it is due
        self.deadlines: dict[str, float] = {}
        #: moves whose delay is over; they wait for the actions of an internal transition that run meanwhile
        self.due: deque[Callable[[], None]] = deque()
        #: indexes of waiting actions that should run again
        self.reruns: set[int] = set()
        self._resources = resources
        self._tell = tell
        self._began_s = time.monotonic()
        self._timers: list[Timer] = []
        #: the wait of each waiting action; None for one that only repeats
        self._waiting: dict[int, Wait | None] = {}
        self._delayed: dict[int, Callable[[], None]] = {}
        self._delays = 0

    @property
    def lasted_s(self) -> float:
        """Seconds since the state was entered."""
        return time.monotonic() - self._began_s

    @property
    def has_delayed(self) -> bool:
        """True while something is delayed: the machine will move by itself."""
        return bool(self._delayed or self.due)

    def arm(self, transition: Transition, delay_s: float) -> None:
        """Fire the transition's event after the delay."""
        self.deadlines[transition.event] = self._resources.db.clock.now() + delay_s
        self._tell_after(delay_s, TimerFired(self.number, transition.event))

    def delay(self, delay_s: float, move: Callable[[], None]) -> None:
        """Make a move due after the delay: a paced self-transition or a retry."""
        self._delays += 1
        self._delayed[self._delays] = move
        self._tell_after(delay_s, DelayOver(self.number, self._delays))

    def receive(self, message: DelayOver | RerunDue) -> None:
        """Make a move due, or note that a waiting action should run again; ignore messages of earlier visits."""
        if message.visit != self.number:
            return
        if isinstance(message, RerunDue):
            if message.action in self._waiting:
                self.reruns.add(message.action)
        elif (move := self._delayed.pop(message.delay, None)) is not None:
            self.due.append(move)

    def park(self, waiting: WaitingAction) -> None:
        """Have an action run again when its topic is notified, or after its time."""
        message = RerunDue(self.number, waiting.action)
        wait = None if waiting.topic is None else Wait(waiting.topic, waiting.key, lambda: self._tell(message))
        self._waiting[waiting.action] = wait
        if wait is not None and not self._resources.wait_board.park(wait, waiting.version):
            self.reruns.add(waiting.action)  # it was notified since the action looked
        elif waiting.every_s is not None:
            self._tell_after(waiting.every_s, message)

    def unpark(self, action: int) -> bool:
        """Stop waiting, since the action runs again now; False if it does not wait any more."""
        if action not in self._waiting:
            return False
        self._leave(self._waiting.pop(action))
        return True

    def end(self) -> None:
        """Drop everything, since the state is left; idempotent."""
        for timer in self._timers:
            timer.cancel()
        for wait in self._waiting.values():
            self._leave(wait)
        for held in (self._timers, self._waiting, self._delayed, self.due, self.reruns, self.deadlines):
            held.clear()

    def _leave(self, wait: Wait | None) -> None:
        if wait is not None:
            self._resources.wait_board.leave(wait)

    def _tell_after(self, delay_s: float, message: Any) -> None:
        self._timers.append(self._resources.timers.after(delay_s, lambda: self._tell(message)))
