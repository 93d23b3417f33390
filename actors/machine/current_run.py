"""The run of actions that a machine has under way, on a worker thread or in the wait before a retry."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..concurrency.event_loop import EventLoop
from . import leaked_action
from .messages import ActionsDone, PauseOver

if TYPE_CHECKING:
    from .action_run import ActionRun
    from .dependencies import MachineDependencies

#: runs of instant actions in a row, after which the messages of the inbox get their turn
CHAIN = 20


class CurrentRun:
    """At most one run at a time; used in the actor's thread. `tell` puts a message into the actor's inbox."""

    def __init__(self, machine: str, dependencies: MachineDependencies, tell: Callable[[Any], None]) -> None:
        self.run: ActionRun | None = None
        self._action_executor = dependencies.action_executor
        self._resources = dependencies.resources
        self._tell = tell
        self._loop = EventLoop(machine)
        self._ended: ActionRun | None = None
        self._chain = 0

    @property
    def uses_context(self) -> bool:
        """True while actions run, which may change the context."""
        return self.run is not None and self.run.pause is None

    def begin_chain(self) -> None:
        """Allow CHAIN instant runs from now on."""
        self._chain = 0

    def perform(self, run: ActionRun) -> None:
        """Run its actions: here if none of them can wait, else on a worker thread, which tells the end."""
        self.run = run
        if self._action_executor.is_instant(run):
            self._perform_here(run)
            return
        future = self._resources.worker_pool.take(self._perform_and_tell, run)
        if future is not None:
            self._resources.running_actions[future] = run
            future.add_done_callback(self._resources.running_actions.pop)

    def receive(self, message: ActionsDone | PauseOver) -> bool:
        """Note that a worker thread has ended the run, or go on after its pause; False if that run was cancelled."""
        run = message.run
        if run is not self.run:
            return False
        if isinstance(message, ActionsDone):
            self._ended = run
        else:
            run.pause = None
            self.perform(run)
        return True

    def take_ended(self) -> ActionRun | None:
        """Return the run if its actions have ended, once."""
        run, self._ended = self._ended, None
        return run

    def pause(self, run: ActionRun, delay_s: float) -> None:
        """Go on with the run after a delay; meanwhile it stays the current one, and uses no thread."""
        run.timer = self._resources.timers.after(delay_s, lambda: self._tell(PauseOver(run)))

    def clear(self) -> None:
        """Forget the run, whose result was handled."""
        self.run = None

    def cancel(self) -> bool:
        """Cancel the run and drop its result; False if there is none."""
        run, self.run, self._ended = self.run, None, None
        if run is None:
            return False
        run.services.cancel.cancel()
        if run.timer is not None:
            run.timer.cancel()
        if run.thread is not None:
            self._resources.timers.after(leaked_action.PATIENCE_S, lambda: leaked_action.report(run))
        return True

    def close(self) -> None:
        """End the event loop with all tasks that coroutines left behind."""
        self._loop.close()

    def _perform_here(self, run: ActionRun) -> None:
        self._action_executor.perform(run, self._loop)
        self._chain += 1
        if self._chain < CHAIN:
            self._ended = run
        else:
            self._tell(ActionsDone(run))

    def _perform_and_tell(self, run: ActionRun) -> None:
        self._action_executor.perform(run, self._loop)
        self._tell(ActionsDone(run))
