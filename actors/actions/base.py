"""The contract of an action: what the engine gives it, and what it may give back."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Collection, Hashable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from ..errors import ActionError

if TYPE_CHECKING:
    from .services import Services

Context: TypeAlias = dict[str, Any]
Outcome: TypeAlias = str | None


class BaseAction(ABC):
    """One action of a state or a transition, made anew for each execution.

    Subclass it in `<type>_action.py` as `<Type>Action` and write `execute`, plain or `async`. It runs on a worker
    thread and has the machine's context for itself until it returns.
    """

    #: Configuration key -> what it means, in one line. Empty: every key is taken without a warning.
    keys: ClassVar[Mapping[str, str]] = {}
    #: For `statemachine-validate`: the events it may cause, by the key that renames each ("" for none unless said), or
    #: just their names. None: not known.
    events: ClassVar[Mapping[str, str | tuple[str, ...]] | Collection[str] | None] = None
    #: For the same: keys that have to be there.
    required_keys: ClassVar[tuple[str, ...]] = ()
    #: Key -> the key that it is another word for.
    same_as: ClassVar[Mapping[str, str]] = {}
    #: Keys that name a context variable it sets -> the variable unless said ("" for none).
    stores: ClassVar[Mapping[str, str]] = {}
    #: Context variables that it sets in any case.
    sets: ClassVar[tuple[str, ...]] = ()
    #: False: the engine hands the whole configuration over as it is written.
    interpolated: ClassVar[bool] = True
    #: Keys handed over as they are written while the others are interpolated.
    raw_keys: ClassVar[frozenset[str]] = frozenset()
    #: It never waits for anything (no I/O but a log line): run in the machine's own thread, which spares two switches.
    instant: ClassVar[bool] = False
    #: It has no effect but in the store, and may simply be run again when the store failed it.
    waits_for_store: ClassVar[bool] = False
    #: It may put something into the context, which therefore is looked at afterwards.
    fills: ClassVar[bool] = True
    #: It only sets variables, and adds to lists that are variables: all that it puts there can be taken out again.
    puts_back: ClassVar[bool] = False
    #: What a watch action looks at ('jobs', 'events', 'machine', 'done'). A watch looks once per `execute`; the
    #: runtime parks it while it answers with its `empty_event()`.
    watch: ClassVar[str | None] = None
    #: What it failed of where it answers with an event, as `retry: on:` names it: an exit code or a word.
    failed_of: int | str | None = None
    logger: logging.Logger = logging.getLogger("statemachine_engine.actions")
    # A class attribute, because a user's __init__ need not call ours.
    _services: Services | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.logger = logging.getLogger(f"statemachine_engine.actions.{cls.__name__}")
        # Not inherited: what a user's subclass of an instant action does may well take its time.
        cls.instant = cls.__dict__.get("instant", False)

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        self.config: dict[str, Any] = dict(config or {})

    def bind(self, services: Services) -> None:
        """Gives the action its runtime; the engine calls this before `execute`."""
        self._services = services

    @property
    def services(self) -> Services:
        """The runtime's services: database, jobs, events, cancellation. ActionError outside of a runtime."""
        if self._services is None:
            raise ActionError(f"{type(self).__name__} needs a running machine: the engine binds its services")
        return self._services

    @abstractmethod
    def execute(self, context: Context) -> Outcome | Awaitable[Outcome]:
        """Does the work and returns the event to fire, or None. What it raises becomes the `error` event."""

    def get_config_value(self, key: str, default: Any = None) -> Any:
        """The configuration's value of a key, variables already filled in."""
        return self.config.get(key, default)

    def get_machine_name(self, context: Mapping[str, Any]) -> str:
        """The name of the machine that runs this action."""
        return str(context.get("machine_name", "unknown"))

    def get_description(self) -> str:
        """The action's `description:`, or the name of its class."""
        return str(self.config.get("description") or type(self).__name__)

    def empty_event(self) -> str | None:
        """The event by which a watch action says that it found nothing."""
        return None

    def watch_key(self) -> Hashable:
        """What a watch action waits for, so that only news about it wakes the machine."""
        return ()

    def recheck_after_s(self, context: Mapping[str, Any]) -> float | None:
        """When a parked watch has to look again even without news, in seconds; None for never."""
        return None
