"""A machine as frozen records: states, events, transitions and the actions they run."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...storage.backoff import back_off
from ..errors import Problem

if TYPE_CHECKING:
    from .schedule import Schedule

ANY_STATE = "*"
"""The source of a transition that is taken in any state."""

Outcome = Literal["success", "failure"]

LONGEST_DURATION_S = 10 * 366 * 86400.0
"""Longer waits are refused: they are typing errors, and they overflow the system's timers."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file, line and column counted from 1."""

    file: str
    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True)
class Retry:
    """The policy by which a failed action, or the actions of a state, are tried again before the failure counts."""

    max: int = 3
    """The number of retries after the first attempt."""
    delay_s: float = 1.0
    factor: float = 2.0
    max_delay_s: float = 60.0
    jitter: float = 0.0
    """The share, from 0 to 1, by which a wait is made longer or shorter."""
    on: frozenset[int | str] = frozenset()
    """Exit codes, `timeout`, names of exception classes; empty for any failure."""

    def delay_before(self, attempt: int, chance: float = 0.5) -> float:
        """Return the seconds to wait before the `attempt`-th retry, counted from 1.

        `chance` is a random number from 0 to 1; 0.5 leaves the jitter out.
        """
        usual_s = back_off(self.delay_s, attempt, longest_s=self.max_delay_s, factor=self.factor)
        return usual_s * (1 + self.jitter * (2 * chance - 1))


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One action as configured: its type and its keys."""

    type: str
    config: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Every key of the action, with those under `params:` merged in (a key beside `params` wins)."""
    mark: Mark | None = None
    every_s: float | None = None
    """Seconds between repeats while the state lasts; None for once per entry."""
    retry: Retry | None = None
    """None where a failure counts at once."""


@dataclass(frozen=True, slots=True)
class Transition:
    """The effect of one event in one state, or in any state (`source` is "*")."""

    source: str
    event: str
    target: str
    """The state entered. An internal transition from "*" has "*": the state in which it is taken."""
    actions: tuple[ActionSpec, ...] = ()
    internal: bool = False
    """The machine stays in the state: no entry actions run, and the timers go on."""
    interrupt: bool | None = None
    """Cancels running actions or not; None leaves it to the kind of transition, see `interrupts`."""
    timeout_s: float | None = None
    """For `timeout(N)`: the seconds from entry until it fires."""
    mark: Mark | None = None

    @property
    def interrupts(self) -> bool:
        """True if it acts at once. By default a timeout and a transition from "*" do, if they leave the state."""
        if self.interrupt is not None:
            return self.interrupt
        return not self.internal and (self.timeout_s is not None or self.source == ANY_STATE)


@dataclass(frozen=True, slots=True)
class Event:
    """An event that the machine knows, and the fields of it that go into the context."""

    name: str
    context_map: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Context key -> dotted path in the message, such as `payload.user.id`."""
    description: str | None = None


@dataclass(frozen=True, slots=True)
class State:
    """A place the machine can be in, with the actions that entering it runs."""

    name: str
    actions: tuple[ActionSpec, ...] = ()
    parent: str | None = None
    group: str | None = None
    description: str | None = None
    outcome: Outcome | None = None
    """The outcome of a machine that ends here; None if it does not end here."""
    timeouts: tuple[Transition, ...] = ()
    """The timers to arm on entry."""


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """A whole machine; immutable, so that any number of machines and threads can share it."""

    machine_name: str
    initial_state: str
    states: Mapping[str, State]
    transitions: tuple[Transition, ...] = ()
    events: Mapping[str, Event] = field(default_factory=dict)
    """The declared events, then those that only transitions name."""
    context: Mapping[str, Any] = field(default_factory=dict)
    """The context the machine starts with."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    schedules: tuple[Schedule, ...] = ()
    title: str | None = None
    description: str | None = None
    config_type: str = ""
    """The stem of the file, shared by all machines made from it."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The file as parsed."""
    source: Path | None = None
    on_unhandled: Literal["ignore", "error"] = "ignore"
    on_error: Retry = Retry(max_delay_s=300.0)
    """The retries of a state's actions after an `error` that no transition takes; then the machine is failed."""
    on_restart: str = "initial"
    """`initial`, `resume`, or the state to start in, for a machine that had started before and not ended."""
    timers: Literal["deadline", "remaining", "restart"] = "deadline"
    """The moment from which the timeouts of a resumed machine count."""
    template: bool = False
    actions_root: str | None = None
    warnings: tuple[Problem, ...] = ()
    hash: str = ""
    """A digest of the parsed file, equal for files with the same meaning."""
    _table: dict[tuple[str, str], Transition] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Index the transitions by source and event; of several alike, the first in the file wins."""
        table: dict[tuple[str, str], Transition] = {}
        for transition in self.transitions:
            table.setdefault((transition.source, transition.event), transition)
        object.__setattr__(self, "_table", table)

    @property
    def actions_folder(self) -> Path | None:
        """The folder that `actions_root:` names, seen from the file; None if it names none."""
        if self.actions_root is None:
            return None
        root = Path(self.actions_root).expanduser()
        return root if self.source is None else self.source.parent / root

    @property
    def effective_transitions(self) -> list[Transition]:
        """The transitions that can be taken: of several for one event of one state, the first in the file."""
        return list(self._table.values())

    @property
    def groups(self) -> dict[str, list[str]]:
        """The states of each group, in file order."""
        groups: dict[str, list[str]] = {}
        for state in self.states.values():
            if state.group is not None:
                groups.setdefault(state.group, []).append(state.name)
        return groups

    def find(self, state: str, event: str) -> Transition | None:
        """Return the transition that `event` takes in `state`: the state's own before one from "*"."""
        return self._table.get((state, event)) or self._table.get((ANY_STATE, event))

    def allowed(self, state: str) -> list[str]:
        """Return the events that `state` takes, in file order."""
        return list(dict.fromkeys(t.event for t in self.transitions if t.source in (state, ANY_STATE)))

    def is_final(self, state: str) -> bool:
        """Return whether the machine ends in `state`."""
        known = self.states.get(state)
        return known is not None and known.outcome is not None


def timeouts_by_state(names: Iterable[str], transitions: Iterable[Transition]) -> dict[str, tuple[Transition, ...]]:
    """Return the timers that entering each state arms: its own, then those from "*" that lead elsewhere."""
    timed: dict[str, dict[str, Transition]] = {}
    for transition in transitions:
        if transition.timeout_s is not None:
            timed.setdefault(transition.source, {}).setdefault(transition.event, transition)
    wild = timed.get(ANY_STATE, {})
    return {name: _armed(name, timed.get(name, {}), wild) for name in names}


def _armed(name: str, own: dict[str, Transition], wild: dict[str, Transition]) -> tuple[Transition, ...]:
    elsewhere = (t for event, t in wild.items() if t.target != name and event not in own)
    return (*own.values(), *elsewhere)


_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
_PLAIN = re.compile(rf"{_NUMBER}\Z", re.ASCII)
_UNITS = re.compile("".join(rf"(?:{_NUMBER}{unit})?" for unit in ("d", "h", "m(?!s)", "s", "ms")) + r"\Z", re.ASCII)
_SECONDS = (86400.0, 3600.0, 60.0, 1.0, 0.001)


def parse_duration(value: object) -> float:
    """Return the seconds in `5`, `"5"`, `".5"`, `"90s"`, `"1m30s"`, `"2h"`, `"250ms"` or `"1d"`.

    Raise ValueError for anything else, and for more than ten years.
    """
    seconds = seconds_in(value)
    if seconds is None:
        msg = f"{value!r} is no duration: write seconds (5, .5) or units (250ms, 90s, 1m30s, 2h, 1d), up to ten years"
        raise ValueError(msg)
    return seconds


def seconds_in(value: object) -> float | None:
    """Return what `parse_duration` returns, and None where it raises."""
    seconds = _seconds(value)
    return seconds if seconds is not None and math.isfinite(seconds) and 0 <= seconds <= LONGEST_DURATION_S else None


def _seconds(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if abs(value) <= LONGEST_DURATION_S else None
    text = value.strip() if isinstance(value, str) else ""
    if _PLAIN.match(text):
        return float(text)
    amounts = _UNITS.match(text)
    if not text or amounts is None:
        return None
    return sum(float(amount) * unit for amount, unit in zip(amounts.groups(), _SECONDS, strict=True) if amount)
