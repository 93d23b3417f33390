"""A run: the actions of one state entry taken one after another, as one record through named stages."""

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
from ...storage.hidden import masked
from ..concurrency.cancel_token import Cancelled
from ..errors import MachineError
from ..jobs.job_context import with_params
from ..placeholders.interpolation import interpolate
from .context_limit import ContextLimit

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

#: seconds until an action that the store did not answer asks again
STORE_AGAIN_S = 1.0


class Parked(NamedTuple):
    """An action that found nothing, or repeats, and waits to be run again in the same state entry."""

    #: its place in the list
    action: int
    #: what it watches for; None for one that only repeats
    topic: str | None
    key: tuple[str | None, ...]
    #: the topic's version before the action looked
    version: int
    #: run it again after so many seconds in any case
    every_s: float | None


class Pause(NamedTuple):
    """An action failed and is tried again after a wait, in which the run keeps no thread."""

    action: str
    #: which try comes next, of how many in all
    attempt: int
    attempts: int
    delay_s: float
    reason: str

    def __str__(self) -> str:
        """For the log."""
        reason = self.reason.partition("\n")[0]
        return f"try {self.attempt} of {self.attempts} in {self.delay_s:.4g} s: {reason}"


class Failure(NamedTuple):
    """An action failed and no transition takes its event."""

    action: str
    message: str


class BadResult(MachineError):
    """An action returned something that is not the name of an event."""


@dataclass(slots=True, eq=False)
class ActionRun:
    """What to do, and then what came of it; the context is the run's alone while it works."""

    entry: int
    state: str
    actions: tuple[ActionSpec, ...]
    context: dict[str, Any]
    services: Services
    #: index of the first action
    start: int = 0
    #: one parked action alone is run again
    again: bool = False
    #: only actions that watch or repeat are run: the state is resumed and they all had, or a watch before them waits
    cut: bool = False
    #: the state is final: its actions run to the last one
    final: bool = False

    #: index of the action that it is at
    at: int = field(init=False)
    #: how often that one has been tried again
    tries: int = 0
    #: the thread that works on it, and since when it is at this action, in monotonic seconds
    thread: int | None = None
    since_s: float = 0.0
    #: the log says that it goes on although it was cancelled
    reported_leaked: bool = False

    # What came of it
    #: it has not ended: the action that it is at is to be tried again
    pause: Pause | None = None
    #: what ends the pause
    timer: Timer | None = None
    event: str | None = None
    #: the event says that a watch found nothing
    empty: bool = False
    failure: Failure | None = None
    parked: list[Parked] = field(default_factory=list)
    #: (action, event) pairs that no transition takes
    unhandled: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """It begins at its start."""
        self.at = self.start

    @property
    def action(self) -> ActionSpec:
        """The one that it is at."""
        return self.actions[self.at]

    @property
    def cancelled(self) -> bool:
        """Its result is not wanted any more."""
        return self.services.cancel.cancelled


class ActionsDone(NamedTuple):
    """Tells the machine that a run has ended, well or not, or pauses."""

    run: ActionRun


class PauseOver(NamedTuple):
    """Tells the machine to go on with a run that paused."""

    run: ActionRun


class ActionExecutor:
    """Takes runs of one machine through their stages; used by any worker thread."""

    def __init__(
        self,
        definition: Definition,
        registry: ActionRegistry,
        wait_board: WaitBoard,
        counters: Counters,
        outage: Outage,
    ) -> None:
        """`outage` hears of a store that fails."""
        self._definition = definition
        self._registry = registry
        self._wait_board = wait_board
        self._counters = counters
        self._outage = outage
        self._room = ContextLimit()

    def perform(self, run: ActionRun, loop: EventLoop) -> ActionRun:
        """Run the actions until one's event is taken by a transition, one fails for good, or the list ends.

        A run that paused is gone on with at the action that failed.
        """
        run.thread = threading.get_ident()
        try:
            self._take_through(run, loop)
        except BaseException as error:  # noqa: BLE001 - a bug of ours must not leave the machine waiting for ever
            log.exception("%s: a run failed", run.services.machine)
            run.failure = Failure("?", f"{type(error).__name__}: {error}")
        finally:
            run.thread = None
        return run

    def is_instant(self, run: ActionRun) -> bool:
        """Whether none of its actions can make its caller wait."""
        return all(self._has(spec, "instant") for spec in run.actions)

    def _take_through(self, run: ActionRun, loop: EventLoop) -> None:
        for index in range(run.at, len(run.actions)):
            if run.cancelled:
                break
            if run.cut and run.actions[index].every_s is None and not self._has(run.actions[index], "watch"):
                continue
            if index != run.at:
                run.at, run.tries = index, 0
            run.cut = self._one(run, loop) or run.cut
            if run.pause is not None or self._is_over(run):
                break

    def _is_over(self, run: ActionRun) -> bool:
        if run.final:
            return False
        if run.event is not None or run.failure is not None:
            return True
        return run.again and run.at == run.start and self._stays(run)

    def _stays(self, run: ActionRun) -> bool:
        """The action that was run again goes on waiting, or repeats and is alone in that."""
        return bool(run.parked) or run.actions[run.start].every_s is not None

    def _one(self, run: ActionRun, loop: EventLoop) -> bool:
        """The action that it is at; True when what follows in the list is cut though no transition was taken."""
        spec, began_s = run.action, time.monotonic()
        run.since_s = began_s
        log.debug("%s: action %s begins", run.services.machine, spec.type)
        try:
            action = self._made(spec, run)
            version = self._wait_board.version(action.watch) if action.watch else 0
            event, answered = (self._held if action.fills else self._answer)(action, run, loop)
            empty = action.watch is not None and event == action.empty_event()
            quiet = empty and (not answered or self._is_quiet(run, event))
            parked = _parked(run, action, version, answered) if quiet else None
        except Cancelled:
            return False
        except BaseException as error:  # noqa: BLE001 - whatever a user's action raises is its failure, also sys.exit()
            self._failed(run, spec, error, began_s)
            return False
        if run.cancelled:
            return False
        if parked is not None:
            log.debug("%s: action %s found nothing, and waits", run.services.machine, spec.type)
            run.parked.append(parked)
            return event is not None and self._definition.find(run.state, event) is not None
        failed = event in error_events(spec)
        self._count(run, spec, began_s, failed=failed)
        if event:
            run.empty = empty
            self._settle(run, spec, event, failed, () if action.failed_of is None else (action.failed_of,))
        if spec.every_s is not None and run.pause is None:
            run.parked.append(Parked(run.at, None, (), 0, spec.every_s))
        return False

    def _made(self, spec: ActionSpec, run: ActionRun) -> BaseAction:
        """The action, its configuration interpolated, bound to the runtime."""
        action_class = self._registry.find(spec.type)
        action = action_class(_filled(spec.config, action_class, run.context))
        action.bind(run.services)
        return action

    def _held(self, action: BaseAction, run: ActionRun, loop: EventLoop) -> tuple[str | None, bool]:
        """Its answer, unless what it puts into the context does not fit there."""
        before = self._room.before(run.context, puts_back=action.puts_back)
        try:
            return self._answer(action, run, loop)
        finally:
            self._room.after(run.context, before)

    def _answer(self, action: BaseAction, run: ActionRun, loop: EventLoop) -> tuple[str | None, bool]:
        """Its event, and whether the store answered: what wants nothing but the store waits until that is back.

        One that watches has found nothing so far, and looks again; others are tried again until they are cut off.
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

    def _is_quiet(self, run: ActionRun, event: str | None) -> bool:
        """Nothing was found, and saying so would lead nowhere (or the machine takes no new work): it parks."""
        if event is None or run.services.jobs.closed:
            return True
        transition = self._definition.find(run.state, event)
        return transition is None or (transition.target == run.state and not transition.actions)

    def _count(self, run: ActionRun, spec: ActionSpec, began_s: float, *, failed: bool) -> None:
        seconds, how = time.monotonic() - began_s, "failed" if failed else "ended"
        log.debug("%s: action %s %s after %.1f ms", run.services.machine, spec.type, how, 1000 * seconds)
        self._counters.action_ended(self._definition.config_type, spec.type, seconds, failed=failed)

    def _settle(
        self, run: ActionRun, spec: ActionSpec, event: str, failed: bool, failed_of: Collection[int | str]
    ) -> None:
        """Does a transition take the event? If not, it is noted; a failure that nothing takes ends the run."""
        if self._pauses(run, spec, failed, failed_of):
            return
        if failed:
            self._publish_failure(run, spec, failed_of)
        if not run.final and self._definition.find(run.state, event) is not None:
            run.event = event
        elif failed:
            run.failure = Failure(spec.type, _last_error(run, spec))
        elif not run.final:
            run.unhandled.append((spec.type, event))

    def _pauses(self, run: ActionRun, spec: ActionSpec, failed: bool, failed_of: Collection[int | str]) -> bool:
        """It is to be tried again; what `on:` names is tried again even where it is mapped to an event of its own."""
        policy = spec.retry
        if policy is None or run.tries >= policy.max:
            return False
        if not (policy.on.intersection(failed_of) if policy.on else failed):
            return False
        run.tries += 1
        delay_s = policy.delay_before(run.tries, random.random())
        run.pause = Pause(spec.type, run.tries + 1, policy.max + 1, delay_s, _last_error(run, spec))
        return True

    def _publish_failure(self, run: ActionRun, spec: ActionSpec, failed_of: Collection[int | str]) -> None:
        message, jobs = _last_error(run, spec), run.services.jobs
        job_id = jobs.current.job_id if jobs.current is not None else None
        if LeaseLost.__name__ in failed_of:
            jobs.note_cut_off()  # no failure of the job, which is somebody else's: if it comes back, it is tried again
        else:
            jobs.note_failure(message)
        run.services.publish("error", {"error_message": message, "action": spec.type, "job_id": job_id})

    def _failed(self, run: ActionRun, spec: ActionSpec, error: BaseException, began_s: float) -> None:
        """The action raised: says so everywhere, then yields its error event."""
        if run.cancelled:
            log.debug("%s: %s failed after it was cancelled: %r", run.services.machine, spec.type, error)
            return
        self._count(run, spec, began_s, failed=True)
        if isinstance(error, MachineError) and error.problem_kind is not None:
            self._counters.add(error.problem_kind)
        message = str(error) if isinstance(error, MachineError) else f"{type(error).__name__}: {error}"
        text = f"Error executing action {spec.type}: {message}"
        run.context["last_error"], run.context["last_error_action"] = text, spec.type
        self._settle(run, spec, str(spec.config.get("error") or "error"), True, _names_of(error))
        if run.pause is None:
            log.error("%s: %s", run.services.machine, text, exc_info=log.isEnabledFor(logging.DEBUG))


def error_events(spec: ActionSpec) -> tuple[str, ...]:
    """What an action may say when it fails, its own words first."""
    return tuple(str(spec.config[key]) for key in ("error", "failure") if spec.config.get(key)) + ("error",)


# Helpers


def _filled(config: Mapping[str, Any], action_class: type[BaseAction], context: Mapping[str, Any]) -> dict[str, Any]:
    if not action_class.interpolated:
        return dict(config)
    raw = action_class.raw_keys
    scope = with_params(context, interpolate(config["params"], context)) if "params" in config else context
    return {key: value if key in raw else interpolate(value, scope) for key, value in config.items()}


def _parked(run: ActionRun, action: BaseAction, version: int, answered: bool) -> Parked:
    key = action.watch_key()
    dependencies = key if isinstance(key, tuple) else (key,)
    names = tuple(None if part is None else str(part) for part in dependencies)
    every_s = action.recheck_after_s(run.context) if answered else STORE_AGAIN_S
    return Parked(run.at, action.watch, names, version, every_s)


def _names_of(error: BaseException) -> list[str]:
    """What `retry: on:` may call an exception."""
    names = [known.__name__ for known in type(error).__mro__]
    return [*names, "timeout"] if isinstance(error, TimeoutError) else names


def _last_error(run: ActionRun, spec: ActionSpec) -> str:
    if run.context.get("last_error_action") == spec.type and run.context.get("last_error"):
        return str(run.context["last_error"])
    return f"action {spec.type} answered with an error"
