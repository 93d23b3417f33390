"""A run of the actions of one state, and the executor that performs it in a worker thread."""

from __future__ import annotations

import inspect
import logging
import random
import threading
import time
from collections.abc import Awaitable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ...storage.errors import LeaseLost, StoreUnavailable
from ...storage.masking import masked
from ..concurrency.cancel_token import Cancelled
from ..errors import MachineError
from ..jobs.job_context import with_params
from ..placeholders.interpolation import interpolate
from .context_limit import ContextLimit
from .step import Step, step

if TYPE_CHECKING:
    from ..actions.base import BaseAction
    from ..actions.registry import ActionRegistry
    from ..actions.services import Services
    from ..concurrency.event_loop import EventLoop
    from ..concurrency.timers import Timer
    from ..concurrency.wait_board import WaitBoard
    from ..definition.model import ActionSpec, Definition
    from ..metrics.counters import Counters
    from ..metrics.outage import Outage

log = logging.getLogger(__name__)

#: seconds until an action asks the store again that did not answer
STORE_AGAIN_S = 1.0


class WaitingAction(NamedTuple):
    """An action that found nothing, or repeats, and waits to run again in the same state visit."""

    #: its index in the list
    action: int
    #: the topic that it watches; None for one that only repeats
    topic: str | None
    key: tuple[str | None, ...]
    #: the topic's version before the action looked
    version: int
    #: seconds after which it runs again in any case
    every_s: float | None


class Pause(NamedTuple):
    """The wait before the retry of a failed action, in which the run uses no thread."""

    action: str
    #: number of the next attempt, and of all attempts
    attempt: int
    attempts: int
    delay_s: float
    reason: str

    def __str__(self) -> str:
        """Return the text for the log."""
        reason = self.reason.partition("\n")[0]
        return f"try {self.attempt} of {self.attempts} in {self.delay_s:.4g} s: {reason}"


class Failure(NamedTuple):
    """The failure of an action whose event no transition takes."""

    action: str
    message: str


class BadResult(MachineError):
    """An action returned something that is not the name of an event."""


@dataclass(slots=True, eq=False)
class ActionRun:
    """The actions to run, and their results; the context belongs to the run while actions work."""

    visit: int
    state: str
    actions: tuple[ActionSpec, ...]
    context: dict[str, Any]
    services: Services
    #: index of the first action to run
    start: int = 0
    #: one waiting action is run again
    rerun: bool = False
    #: run only actions that watch or repeat: a watch before them waits, or the state is resumed after they all ran
    only_waiting: bool = False
    #: the state is final: its actions run to the last one
    final: bool = False

    #: index of the current action, and number of its retries
    index: int = field(init=False)
    retries: int = 0
    #: the thread that works on it, and the monotonic time at which the current action began
    thread: int | None = None
    since_s: float = 0.0
    #: the log says that it goes on although it was cancelled
    reported_leaked: bool = False

    # The result
    #: set if the run has not ended, but retries the current action after a pause
    pause: Pause | None = None
    #: ends the pause
    timer: Timer | None = None
    #: the move that the last action's event causes
    step: Step | None = None
    event: str | None = None
    #: the event says that a watch found nothing
    found_nothing: bool = False
    failure: Failure | None = None
    waiting: list[WaitingAction] = field(default_factory=list)
    #: (action, event) pairs that no transition takes
    unhandled: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start at the first action."""
        self.index = self.start

    @property
    def action(self) -> ActionSpec:
        """The current action."""
        return self.actions[self.index]

    @property
    def cancelled(self) -> bool:
        """True once the result is not wanted any more."""
        return self.services.cancel.cancelled


class ActionExecutor:
    """Performs the runs of one machine; used by any worker thread."""

    def __init__(
        self,
        definition: Definition,
        registry: ActionRegistry,
        wait_board: WaitBoard,
        counters: Counters,
        outage: Outage,
    ) -> None:
        """Keep what the runs need; `outage` records that the store fails."""
        self._definition = definition
        self._registry = registry
        self._wait_board = wait_board
        self._counters = counters
        self._outage = outage
        self._context_limit = ContextLimit()

    def perform(self, run: ActionRun, loop: EventLoop) -> ActionRun:
        """Run the actions until a transition takes an event of one, one fails for good, or the list ends.

        A paused run goes on at the action that failed.
        """
        run.thread = threading.get_ident()
        try:
            self._perform_actions(run, loop)
        except BaseException as error:  # noqa: BLE001 - a bug of ours must not leave the machine waiting for ever
            log.exception("%s: a run failed", run.services.machine)
            run.failure = Failure("?", f"{type(error).__name__}: {error}")
        finally:
            run.thread = None
        return run

    def is_instant(self, run: ActionRun) -> bool:
        """Return True if none of its actions can make its caller wait."""
        return all(self._has(spec, "instant") for spec in run.actions)

    def _perform_actions(self, run: ActionRun, loop: EventLoop) -> None:
        for index in range(run.index, len(run.actions)):
            if run.cancelled:
                break
            spec = run.actions[index]
            if run.only_waiting and spec.every_s is None and not self._has(spec, "watch"):
                continue
            if index != run.index:
                run.index, run.retries = index, 0
            self._perform_action(run, spec, loop)
            if run.pause is not None or self._is_over(run):
                break

    def _is_over(self, run: ActionRun) -> bool:
        if run.final:
            return False
        if run.event is not None or run.failure is not None:
            return True
        waits_on = bool(run.waiting) or run.actions[run.start].every_s is not None
        return run.rerun and run.index == run.start and waits_on

    def _perform_action(self, run: ActionRun, spec: ActionSpec, loop: EventLoop) -> None:
        began_s = run.since_s = time.monotonic()
        log.debug("%s: action %s begins", run.services.machine, spec.type)
        try:
            action = self._made(spec, run)
            version = self._wait_board.version(action.watch) if action.watch else 0
            event, answered = (self._limited if action.fills else self._answer)(action, run, loop)
            taken = step(self._definition, run.state, event) if event is not None else None
            found_nothing = action.watch is not None and event == action.empty_event()
            waits = found_nothing and (not answered or _may_wait(run, event, taken))
            waiting = _waiting(run, action, version, answered) if waits else None
        except Cancelled:
            return
        except BaseException as error:  # noqa: BLE001 - whatever a user's action raises is its failure, also sys.exit()
            self._raised(run, spec, error, began_s)
            return
        if run.cancelled:
            return
        if waiting is not None:
            log.debug("%s: action %s found nothing, and waits", run.services.machine, spec.type)
            run.waiting.append(waiting)
            run.only_waiting = run.only_waiting or taken is not None
            return
        failed = event in error_events(spec)
        self._count(run, spec, began_s, failed=failed)
        if event:
            run.found_nothing = found_nothing
            self._settle(run, spec, event, taken, failed, () if action.failed_of is None else (action.failed_of,))
        if spec.every_s is not None and run.pause is None:
            run.waiting.append(WaitingAction(run.index, None, (), 0, spec.every_s))

    def _made(self, spec: ActionSpec, run: ActionRun) -> BaseAction:
        """Return the action with its placeholders filled in and its services bound."""
        action_class = self._registry.find(spec.type)
        action = action_class(_filled(spec.config, action_class, run.context))
        action.bind(run.services)
        return action

    def _limited(self, action: BaseAction, run: ActionRun, loop: EventLoop) -> tuple[str | None, bool]:
        """Do the same as `_answer`, within the limit of the context."""
        before = self._context_limit.before(run.context, puts_back=action.puts_back)
        try:
            return self._answer(action, run, loop)
        finally:
            self._context_limit.after(run.context, before)

    def _answer(self, action: BaseAction, run: ActionRun, loop: EventLoop) -> tuple[str | None, bool]:
        """Return the action's event, and True if the store answered.

        When the store fails, a watch has found nothing so far; another action that needs nothing but the store is tried
        again until it is cancelled.
        """
        while True:
            began_s = time.monotonic()
            try:
                return self._result(action, run, loop), True
            except StoreUnavailable as error:
                if not action.waits_for_store:
                    raise
                self._outage.met(error, began_s)
            if action.watch is not None:
                return action.empty_event(), False
            run.services.cancel.wait(STORE_AGAIN_S)
            run.services.cancel.raise_if_cancelled()

    def _result(self, action: BaseAction, run: ActionRun, loop: EventLoop) -> str | None:
        result = action.execute(run.context)
        if inspect.isawaitable(result):
            result = self._awaited(result, run, loop)
        if result is None or isinstance(result, str):
            return result or None
        shown = masked(repr(result))[:80]
        msg = f"it returned {type(result).__name__} {shown}; an action returns the name of an event, or None"
        raise BadResult(msg)

    def _awaited(self, awaitable: Awaitable[Any], run: ActionRun, loop: EventLoop) -> Any:
        """Return the result of a coroutine; meanwhile the run's thread is the one that the coroutine runs in."""

        def started(thread: int) -> None:
            run.thread = thread

        try:
            return loop.run(awaitable, run.services.cancel, started)
        finally:
            run.thread = threading.get_ident()

    def _has(self, spec: ActionSpec, trait: str) -> bool:
        try:
            return bool(getattr(self._registry.find(spec.type), trait))
        except MachineError:
            return False

    def _count(self, run: ActionRun, spec: ActionSpec, began_s: float, *, failed: bool) -> None:
        seconds, how = time.monotonic() - began_s, "failed" if failed else "ended"
        log.debug("%s: action %s %s after %.1f ms", run.services.machine, spec.type, how, 1000 * seconds)
        self._counters.action_ended(self._definition.config_type, spec.type, seconds, failed=failed)

    def _settle(
        self,
        run: ActionRun,
        spec: ActionSpec,
        event: str,
        taken: Step | None,
        failed: bool,
        failed_of: Collection[int | str],
    ) -> None:
        """Decide what an action's event does: a retry, a move, the failure of the run, or nothing."""
        if self._retries(run, spec, failed, failed_of):
            return
        if failed:
            self._publish_failure(run, spec, failed_of)
        if not run.final and taken is not None:
            run.event, run.step = event, taken
        elif failed:
            run.failure = Failure(spec.type, _last_error(run, spec))
        elif not run.final:
            run.unhandled.append((spec.type, event))

    def _retries(self, run: ActionRun, spec: ActionSpec, failed: bool, failed_of: Collection[int | str]) -> bool:
        """Pause the run if its policy retries the action; a cause in `on:` is retried even with an event of its own."""
        policy = spec.retry
        if policy is None or run.retries >= policy.max:
            return False
        if not (policy.on.intersection(failed_of) if policy.on else failed):
            return False
        run.retries += 1
        delay_s = policy.delay_before(run.retries, random.random())
        run.pause = Pause(spec.type, run.retries + 1, policy.max + 1, delay_s, _last_error(run, spec))
        return True

    def _publish_failure(self, run: ActionRun, spec: ActionSpec, failed_of: Collection[int | str]) -> None:
        message, jobs = _last_error(run, spec), run.services.jobs
        job_id = jobs.current.job_id if jobs.current is not None else None
        if LeaseLost.__name__ in failed_of:
            jobs.note_cut_off()  # the job is another's now, and has not failed
        else:
            jobs.note_failure(message)
        run.services.publish("error", {"error_message": message, "action": spec.type, "job_id": job_id})

    def _raised(self, run: ActionRun, spec: ActionSpec, error: BaseException, began_s: float) -> None:
        """Log and count the error that an action raised, and handle its error event."""
        if run.cancelled:
            log.debug("%s: %s failed after it was cancelled: %r", run.services.machine, spec.type, error)
            return
        self._count(run, spec, began_s, failed=True)
        if isinstance(error, MachineError) and error.problem_kind is not None:
            self._counters.add(error.problem_kind)
        message = str(error) if isinstance(error, MachineError) else f"{type(error).__name__}: {error}"
        text = f"Error executing action {spec.type}: {message}"
        run.context["last_error"], run.context["last_error_action"] = text, spec.type
        event = str(spec.config.get("error") or "error")
        self._settle(run, spec, event, step(self._definition, run.state, event), True, _names_of(error))
        if run.pause is None:
            log.error("%s: %s", run.services.machine, text, exc_info=log.isEnabledFor(logging.DEBUG))


def error_events(spec: ActionSpec) -> tuple[str, ...]:
    """Return the events of an action's failure: those of its configuration first, then `error`."""
    return tuple(str(spec.config[key]) for key in ("error", "failure") if spec.config.get(key)) + ("error",)


# Helpers


def _filled(config: Mapping[str, Any], action_class: type[BaseAction], context: Mapping[str, Any]) -> dict[str, Any]:
    if not action_class.interpolated:
        return dict(config)
    raw = action_class.raw_keys
    scope = with_params(context, interpolate(config["params"], context)) if "params" in config else context
    return {key: value if key in raw else interpolate(value, scope) for key, value in config.items()}


def _may_wait(run: ActionRun, event: str | None, taken: Step | None) -> bool:
    """Return True if a watch may wait: its event leads nowhere, or the machine takes no new work."""
    if event is None or taken is None or run.services.jobs.closed:
        return True
    return taken.transition is not None and taken.target == run.state and not taken.transition.actions


def _waiting(run: ActionRun, action: BaseAction, version: int, answered: bool) -> WaitingAction:
    key = action.watch_key()
    parts = key if isinstance(key, tuple) else (key,)
    names = tuple(None if part is None else str(part) for part in parts)
    every_s = action.recheck_after_s(run.context) if answered else STORE_AGAIN_S
    return WaitingAction(run.index, action.watch, names, version, every_s)


def _names_of(error: BaseException) -> list[str]:
    """Return the names by which `retry: on:` knows an exception."""
    names = [known.__name__ for known in type(error).__mro__]
    return [*names, "timeout"] if isinstance(error, TimeoutError) else names


def _last_error(run: ActionRun, spec: ActionSpec) -> str:
    if run.context.get("last_error_action") == spec.type and run.context.get("last_error"):
        return str(run.context["last_error"])
    return f"action {spec.type} answered with an error"
