"""Find the events that an action may cause, from its class and its configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..actions.base import BaseAction
from ..definition.model import ActionSpec


class OutcomeKind(Enum):
    """The way in which an action ends."""

    GOOD = "good"
    FAILED = "failed"
    EMPTY = "empty"
    """A watch found nothing: it waits unless the event leads elsewhere."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One event that an action may cause; an empty name means that it may end without an event."""

    event: str
    key: str
    """The key of its configuration that names the event."""
    kind: OutcomeKind
    named: bool
    """True if the configuration names it; otherwise it is the action's default."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """All events that an action may cause."""

    all: tuple[Outcome, ...]
    open: bool = False
    """True if it may also cause events that are not known beforehand."""

    def of(self, *kinds: OutcomeKind) -> list[Outcome]:
        """Return the named outcomes of some kinds."""
        return [outcome for outcome in self.all if outcome.event and outcome.kind in kinds]

    @property
    def may_be_silent(self) -> bool:
        """True if it may succeed without an event."""
        return any(not outcome.event and outcome.kind is not OutcomeKind.FAILED for outcome in self.all)


_FAILURES = ("error", "timeout_event")
_EMPTY = ("empty", "pending", "unexpected_state", "not_running")
_NAMELESS = "events"


def outcomes_of(spec: ActionSpec, action: type[BaseAction] | None) -> Outcomes:
    """Return what an action may end with; `action` is its class, None if that is not known."""
    declared = _declared(action)
    same_as = action.same_as if action is not None else {}
    outcomes: list[Outcome] = []
    variable = False
    for key, defaults in {**declared, **_named_alone(spec, declared, same_as)}.items():
        name = _configured(spec, key, same_as)
        variable |= name is not None and "{" in name
        outcomes += _outcomes(spec, action, key, name, defaults)
    outcomes += _by_exit_code(spec)
    unknown = action is None or action.events is None
    return Outcomes(tuple(_kept(spec, outcomes)), unknown or variable)


def _declared(action: type[BaseAction] | None) -> dict[str, tuple[str, ...]]:
    """Return the declared events by key. Every action may fail."""
    events: Any = action.events if action is not None else None
    if isinstance(events, Mapping):
        pairs = {str(key): (names,) if isinstance(names, str) else tuple(names) for key, names in events.items()}
    else:
        pairs = {_NAMELESS: tuple(events)} if events and not isinstance(events, str) else {}
    return {"error": ("error",), **pairs}


def _named_alone(
    spec: ActionSpec, declared: Mapping[str, object], same_as: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Return the key `success` if the configuration names an event for it and the class declares none."""
    if "success" in declared or "success" in same_as:
        return {}
    return {"success": ()} if spec.config.get("success") else {}


def _configured(spec: ActionSpec, key: str, same_as: Mapping[str, str]) -> str | None:
    names = (key, *(other for other, meant in same_as.items() if meant == key))
    values = (spec.config.get(name) for name in names)
    return next((str(value) for value in values if value not in (None, "")), None)


def _outcomes(
    spec: ActionSpec, action: type[BaseAction] | None, key: str, name: str | None, defaults: tuple[str, ...]
) -> Iterator[Outcome]:
    kind = _kind(action, key)
    if name is not None and key != _NAMELESS:
        if "{" not in name:
            yield Outcome(name, key, kind, named=True)
        return
    if spec.type == "check_events" and key == "success" and spec.config.get("target_machine"):
        defaults = ("events_found",)
    for event in defaults:
        yield Outcome(event, key, kind, named=False)


def _kind(action: type[BaseAction] | None, key: str) -> OutcomeKind:
    if key in _FAILURES and not (action is not None and action.watch):
        return OutcomeKind.FAILED
    if action is not None and action.watch and key in _EMPTY:
        return OutcomeKind.EMPTY
    return OutcomeKind.FAILED if key == "error" else OutcomeKind.GOOD


def _by_exit_code(spec: ActionSpec) -> Iterator[Outcome]:
    mappings = spec.config.get("error_mappings") if spec.type == "bash" else None
    for event in mappings.values() if isinstance(mappings, Mapping) else ():
        if isinstance(event, str) and event:
            yield Outcome(event, "error_mappings", OutcomeKind.FAILED, named=True)


def _kept(spec: ActionSpec, outcomes: list[Outcome]) -> list[Outcome]:
    """Return the outcomes, without the event `success` of a `send_event` with `fire_and_forget`."""
    forgets = spec.type == "send_event" and spec.config.get("fire_and_forget") not in (None, False, "false", "no", "")
    if not forgets:
        return outcomes
    kept = [outcome for outcome in outcomes if outcome.key != "success"]
    return [*kept, Outcome("", "fire_and_forget", OutcomeKind.GOOD, named=True)]
