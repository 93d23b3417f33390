"""The base class of all actions."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Collection, Hashable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from ..errors import ActionError

if TYPE_CHECKING:
    from .services import Services

Context: TypeAlias = dict[str, Any]

DURATION, NUMBER, MAPPING = "a duration", "a whole number", "a mapping"
Outcome: TypeAlias = str | None


class BaseAction(ABC):
    """One execution of an action of a state or a transition.

    Subclass it in `<type>_action.py` as `<Type>Action` and write `execute`, plain or `async`. It runs on a worker
    thread, and nothing else changes the machine's context until it returns.
    """

    #: Configuration key -> its meaning, in one line. Empty: every key is accepted without a warning.
    keys: ClassVar[Mapping[str, str]] = {}
    #: For `statemachine-validate`: the events it may cause by the key that renames each ("": no event by default), or
    #: only their names. None: not known.
    events: ClassVar[Mapping[str, str | tuple[str, ...]] | Collection[str] | None] = None
    #: For `statemachine-validate`: keys that are required.
    required_keys: ClassVar[tuple[str, ...]] = ()
    #: For the same: key -> DURATION, NUMBER, MAPPING, or the words of which its value is one.
    value_kinds: ClassVar[Mapping[str, str | tuple[str, ...]]] = {}
    #: For the same: each execution takes a while, so a loop of states through it does not spin.
    takes_time: ClassVar[bool] = False
    #: Key -> the key of which it is a synonym.
    same_as: ClassVar[Mapping[str, str]] = {}
    #: Keys that name a context variable which it sets -> the default variable ("": none).
    stores: ClassVar[Mapping[str, str]] = {}
    #: Context variables that it always sets.
    sets: ClassVar[tuple[str, ...]] = ()
    #: False: it gets the whole configuration as it is written, with no values filled in.
    interpolated: ClassVar[bool] = True
    #: Keys that it gets as they are written, while values are filled into the others.
    raw_keys: ClassVar[frozenset[str]] = frozenset()
    #: True if it never waits (no I/O but a log line): it runs in the machine's own thread, which saves two switches.
    instant: ClassVar[bool] = False
    #: True if it changes only the store, so that it can run again when the store failed.
    waits_for_store: ClassVar[bool] = False
    #: True if it may put values into the context, whose size is then checked.
    fills: ClassVar[bool] = True
    #: True if it only sets variables or adds to lists, so that its changes of the context can be undone.
    puts_back: ClassVar[bool] = False
    #: Topic of a watch action: 'jobs', 'events', 'machine' or 'done'. It looks once in each `execute`; while it
    #: returns its `empty_event()`, it waits for a notification.
    watch: ClassVar[str | None] = None
    #: Reason of a failure that it returns as an event, as `retry: on:` names it: an exit code, a status or a word.
    failed_of: int | str | None = None
    #: The numbers among them, for `statemachine-validate`.
    failure_codes: ClassVar[range] = range(0)
    logger: logging.Logger = logging.getLogger("statemachine_engine.actions")
    # A class attribute, because a user's __init__ need not call ours.
    _services: Services | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.logger = logging.getLogger(f"statemachine_engine.actions.{cls.__name__}")
        # Not inherited: a user's subclass of an instant action may take long.
        cls.instant = cls.__dict__.get("instant", False)

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        self.config: dict[str, Any] = dict(config or {})

    def bind(self, services: Services) -> None:
        """Give the action its services; called by the engine before `execute`."""
        self._services = services

    @property
    def services(self) -> Services:
        """The runtime's services: database, jobs, events, cancellation. Raises ActionError without a runtime."""
        if self._services is None:
            raise ActionError(f"{type(self).__name__} needs a running machine: the engine binds its services")
        return self._services

    @abstractmethod
    def execute(self, context: Context) -> Outcome | Awaitable[Outcome]:
        """Do the work and return the event to fire, or None. An exception becomes the `error` event."""

    def get_config_value(self, key: str, default: Any = None) -> Any:
        """Return a key's value, with variables filled in."""
        return self.config.get(key, default)

    def get_machine_name(self, context: Mapping[str, Any]) -> str:
        """Return the name of the machine that runs this action."""
        return str(context.get("machine_name", "unknown"))

    def get_description(self) -> str:
        """Return the action's `description:`, or the name of its class."""
        return str(self.config.get("description") or type(self).__name__)

    def empty_event(self) -> str | None:
        """Return the event of a watch action that found nothing."""
        return None

    def watch_key(self) -> Hashable:
        """Return the key that a watch action waits for; it ignores other notifications of its topic."""
        return ()

    def recheck_after_s(self, context: Mapping[str, Any]) -> float | None:
        """Return the seconds after which a waiting watch looks again without a notification; None: never."""
        return None
