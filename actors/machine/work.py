"""A machine's work: the one run that is under way, on a worker thread or waiting for the next try of an action."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pykka

from ..concurrency.event_loop import EventLoop
from . import leaked_action
from .action_run import ActionExecutor, ActionRun, ActionsDone, PauseOver

if TYPE_CHECKING:
    from .dependencies import MachineDependencies

#: runs of instant actions in a row, after which the inbox gets its turn
CHAIN = 20

Tell = Callable[[Any], None]


class Work:
    """Belongs to the actor's thread; `tell` puts a message into the actor's inbox, from any thread."""

    def __init__(self, machine: str, dependencies: MachineDependencies, tell: Tell) -> None:
        self.run: ActionRun | None = None
        self._action_executor = dependencies.action_executor
        self._resources = dependencies.resources
        self._tell = tell
        self._loop = EventLoop(machine)
        self._finished: ActionRun | None = None
        self._chain = 0

    @property
    def keeps_context(self) -> bool:
        """Actions work, and the context is theirs."""
        return self.run is not None and self.run.pause is None

    def begin_chain(self) -> None:
        """A message is handled: instant runs may follow each other anew."""
        self._chain = 0

    def perform(self, run: ActionRun) -> None:
        """Run its actions: here where none can make the machine wait, else on a worker thread, which tells its end."""
        self.run = run
        if not self._action_executor.is_instant(run):
            future = self._resources.worker_pool.take(
                _perform_and_tell, self._action_executor, run, self._loop, self._tell
            )
            if future is not None:
                self._resources.running_actions[future] = run
                future.add_done_callback(self._resources.running_actions.pop)
            return
        self._action_executor.perform(run, self._loop)
        self._chain += 1
        if self._chain < CHAIN:
            self._finished = run
        else:
            self._tell(ActionsDone(run))

    def done(self, run: ActionRun) -> bool:
        """A worker has told a run's end; False when nobody wants its result any more."""
        if run is not self.run:
            return False
        self._finished = run
        return True

    def take_finished(self) -> ActionRun | None:
        """The run whose actions are over, once: its result is to be looked at now."""
        run, self._finished = self._finished, None
        return run

    def wait(self, run: ActionRun, delay_s: float) -> None:
        """The run stays the one under way, so that events wait; the wait keeps no thread, and ends with the run."""
        run.timer = self._resources.timers.after(delay_s, lambda: self._tell(PauseOver(run)))

    def pause_over(self, run: ActionRun) -> bool:
        """Go on with a run that waited; False when it was thrown away."""
        if run is not self.run:
            return False
        run.pause = None
        self.perform(run)
        return True

    def over(self) -> None:
        """The result has been looked at: nothing is under way."""
        self.run = None

    def throw_away(self) -> bool:
        """Cut off what is under way, whose result nobody wants; False where there is nothing."""
        run, self.run, self._finished = self.run, None, None
        if run is None:
            return False
        run.services.cancel.cancel()
        if run.timer is not None:
            run.timer.cancel()
        if run.thread is not None:
            self._resources.timers.after(leaked_action.PATIENCE_S, lambda: leaked_action.report(run))
        return True

    def close(self) -> None:
        """The machine has ended: end what its coroutines left behind."""
        self._loop.close()


def teller(ref: pykka.ActorRef[Any]) -> Tell:
    """What puts a message into an actor's inbox; one that has ended needs none."""

    def tell(message: Any) -> None:
        with contextlib.suppress(pykka.ActorDeadError):
            ref.tell(message)

    return tell


def _perform_and_tell(action_executor: ActionExecutor, run: ActionRun, loop: EventLoop, tell: Tell) -> None:
    action_executor.perform(run, loop)
    tell(ActionsDone(run))
