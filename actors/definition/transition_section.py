"""Reads `transitions:`, one transition for each source state that an entry names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from .action_section import KnownKeys, read_actions
from .event_section import warn_undeclared
from .fields import flag_of, items_of, known_name_of, name_of, one_or_more, state_name_of, text_of, warn_unknown_keys
from .keys import TRANSITION
from .model import ANY_STATE, Event, Transition, parse_duration
from .problems import Problems, did_you_mean, quoted
from .yaml_nodes import Node

_OTHER_WORDS = {"source": "from", "target": "to", "dest": "to", "on": "event", "trigger": "event"}
_TIMEOUT = re.compile(r"timeout\((.*)\)\Z", re.DOTALL)


def named_states(root: Node) -> Iterator[str]:
    """The states that transitions name, in file order; those that are no names are errors elsewhere."""
    section = root.get("transitions")
    for entry in (section.items or ()) if section is not None else ():
        for key in ("from", "to"):
            node = entry.get(key)
            for name in [node, *(node.items or ())] if node is not None else []:
                if isinstance(name.value, str) and name.value != ANY_STATE:
                    yield name.value


def read_transitions(
    root: Node,
    states: Collection[str],
    events: dict[str, Event] | None,
    known_keys: KnownKeys,
    findings: Problems,
) -> tuple[Transition, ...]:
    """All transitions in file order; `events` are the declared ones."""
    transitions: list[Transition] = []
    for entry in items_of(root.get("transitions"), "transitions", findings):
        if entry.pairs is None:
            hint = "write '- from: a', and 'to: b' and 'event: e' below it"
            findings.error(entry.mark, f"a transition must be a mapping, not {entry.kind}", hint)
            continue
        warn_unknown_keys(entry, "a transition", TRANSITION, findings)
        transitions += _transitions(entry, states, events, known_keys, findings)
    return tuple(transitions)


def _transitions(
    entry: Node, states: Collection[str], events: dict[str, Event] | None, known_keys: KnownKeys, findings: Problems
) -> Iterator[Transition]:
    internal = flag_of(entry.get("internal"), "internal", findings) or False
    interrupt = flag_of(entry.get("interrupt"), "interrupt", findings)
    text_of(entry.get("description"), "description of a transition", findings)
    event, timeout_s = _event(entry, events, findings)
    sources = _sources(entry, states, findings)
    target = _target(entry, states, internal, sources, findings)
    actions = read_actions(entry.get("actions"), "a transition", known_keys, findings)
    for source in sources if event is not None else ():
        into = source if internal else target
        if event is not None and into is not None:
            yield Transition(source, event, into, actions, internal, interrupt, timeout_s, entry.mark)


def _event(entry: Node, events: dict[str, Event] | None, findings: Problems) -> tuple[str | None, float | None]:
    node = _required(entry, "event", findings)
    name = None if node is None else name_of(node, "the event of a transition", findings)
    if node is None or name is None:
        return None, None
    timeout = _TIMEOUT.match(name)
    if timeout is None:
        if events is not None:
            warn_undeclared(node, events, findings)
        return name, None
    try:
        return name, parse_duration(timeout.group(1))
    except ValueError:
        hint = "write seconds or units: timeout(5), timeout(.5), timeout(90s), timeout(1m30s), timeout(2h)"
        findings.error(node.mark, f"{quoted(name)} has no duration in its brackets", hint)
        return None, None


def _sources(entry: Node, states: Collection[str], findings: Problems) -> list[str]:
    node = _required(entry, "from", findings)
    if node is None:
        return []
    if node.items == ():
        findings.error(node.mark, "'from' is an empty list", "name a state, several, or '*' for any")
    if node.items is None:
        names = [_source(node, states, findings)]
    else:
        names = [_source(item, states, findings) for item in one_or_more(node, "from", findings)]
    return list(dict.fromkeys(name for name in names if name is not None))


def _source(node: Node, states: Collection[str], findings: Problems) -> str | None:
    if node.value == ANY_STATE:
        return ANY_STATE
    return known_name_of(node, "state", states, findings)


def _target(entry: Node, states: Collection[str], internal: bool, sources: list[str], findings: Problems) -> str | None:
    if internal and entry.get("to") is None:
        return None
    node = _required(entry, "to", findings)
    if node is None or state_name_of(node, "'to'", findings) is None:
        return None
    target = known_name_of(node, "state", states, findings)
    if internal and sources and sources != [target]:
        hint = "leave 'to' out, or leave 'internal' out"
        findings.error(node.mark, "an internal transition stays in its state and cannot lead to another", hint)
    return target


def _required(entry: Node, key: str, findings: Problems) -> Node | None:
    node = entry.get(key)
    if node is not None:
        return node
    others = [other.text for other, _ in entry.pairs or () if other.text not in TRANSITION]
    meant = next((o for o in others if _OTHER_WORDS.get(o) == key or did_you_mean(o, [key])), None)
    hint = f"did you mean '{key}' instead of '{meant}'?" if meant else "a transition has 'from', 'to' and 'event'"
    findings.error(entry.mark, f"this transition has no '{key}'", hint, code="E010")
    return None
