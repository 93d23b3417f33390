"""Read `transitions:`. An entry makes one transition for each source state that it names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from .action_section import KnownKeys, read_actions
from .event_section import warn_undeclared
from .field_kinds import read_closed
from .fields import items_of, known_name_of, name_of, state_name_of
from .keys import TRANSITION
from .model import ANY_STATE, Event, Transition, seconds_in
from .problems import Problems, did_you_mean, quoted
from .yaml_nodes import Node

_OTHER_WORDS = {"source": "from", "target": "to", "dest": "to", "on": "event", "trigger": "event"}
_TIMEOUT = re.compile(r"timeout\((.*)\)\Z", re.DOTALL)


def named_states(root: Node) -> Iterator[str]:
    """Yield the states that transitions name, in file order. What is no name is reported elsewhere."""
    for name in state_nodes(root):
        if isinstance(name.value, str) and name.value != ANY_STATE:
            yield name.value


def state_nodes(root: Node) -> Iterator[Node]:
    """Yield every place under `from` and `to` of a transition that names a state."""
    for entry in root.items_under("transitions"):
        for node in (entry.get("from"), entry.get("to")):
            yield from () if node is None else node.items or (node,)


def read_transitions(
    root: Node, states: Collection[str], events: dict[str, Event] | None, known_keys: KnownKeys, problems: Problems
) -> tuple[Transition, ...]:
    """Return all transitions in file order; `events` are the declared ones."""
    transitions: list[Transition] = []
    for entry in items_of(root.get("transitions"), "transitions", problems):
        if entry.pairs is None:
            hint = "write '- from: a', and 'to: b' and 'event: e' below it"
            problems.error(entry.mark, f"a transition must be a mapping, not {entry.kind}", hint)
        else:
            transitions += _transitions(entry, states, events, known_keys, problems)
    return tuple(transitions)


def _transitions(
    entry: Node, states: Collection[str], events: dict[str, Event] | None, known_keys: KnownKeys, problems: Problems
) -> Iterator[Transition]:
    values = read_closed(entry, "a transition", TRANSITION, problems)
    internal, interrupt = values.get("internal", False), values.get("interrupt")
    event, timeout_s = _event(entry, events, problems)
    sources = _sources(entry, states, problems)
    target = _target(entry, states, internal, sources, problems)
    actions = read_actions(entry.get("actions"), "a transition", known_keys, problems)
    for source in sources if event is not None else ():
        into = source if internal else target
        if event is not None and into is not None:
            yield Transition(source, event, into, actions, internal, interrupt, timeout_s, entry.mark)


def _event(entry: Node, events: dict[str, Event] | None, problems: Problems) -> tuple[str | None, float | None]:
    node = _required(entry, "event", problems)
    name = None if node is None else name_of(node, "the event of a transition", problems)
    if node is None or name is None:
        return None, None
    timeout = _TIMEOUT.match(name)
    if timeout is None:
        if events is not None:
            warn_undeclared(node, events, problems)
        return name, None
    timeout_s = seconds_in(timeout.group(1))
    if timeout_s is None:
        hint = "write seconds or units: timeout(5), timeout(.5), timeout(90s), timeout(1m30s), timeout(2h)"
        problems.error(node.mark, f"{quoted(name)} has no duration in its brackets", hint)
        return None, None
    return name, timeout_s


def _sources(entry: Node, states: Collection[str], problems: Problems) -> list[str]:
    node = _required(entry, "from", problems)
    if node is None:
        return []
    if node.items == ():
        problems.error(node.mark, "'from' is an empty list", "name a state, several, or '*' for any")
    nodes = [node] if node.items is None else node.items
    names = [_source(item, states, problems) for item in nodes]
    return list(dict.fromkeys(name for name in names if name is not None))


def _source(node: Node, states: Collection[str], problems: Problems) -> str | None:
    if node.value == ANY_STATE:
        return ANY_STATE
    return known_name_of(node, "state", states, problems)


def _target(entry: Node, states: Collection[str], internal: bool, sources: list[str], problems: Problems) -> str | None:
    if internal and entry.get("to") is None:
        return None
    node = _required(entry, "to", problems)
    if node is None or state_name_of(node, "'to'", problems) is None:
        return None
    target = known_name_of(node, "state", states, problems)
    if internal and sources and sources != [target]:
        hint = "leave 'to' out, or leave 'internal' out"
        problems.error(node.mark, "an internal transition stays in its state and cannot lead to another", hint)
    return target


def _required(entry: Node, key: str, problems: Problems) -> Node | None:
    node = entry.get(key)
    if node is not None:
        return node
    others = [other.text for other, _ in entry.pairs or () if other.text not in TRANSITION]
    meant = next((o for o in others if _OTHER_WORDS.get(o) == key or did_you_mean(o, [key])), None)
    hint = f"did you mean '{key}' instead of '{meant}'?" if meant else "a transition has 'from', 'to' and 'event'"
    problems.error(entry.mark, f"this transition has no '{key}'", hint, code="E010")
    return None
