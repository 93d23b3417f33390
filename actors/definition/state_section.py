"""Reads `states:`, `state_groups:` and `final:`: which states there are, their groups and how they end."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .fields import (
    choice_of,
    flag_of,
    items_of,
    known_name_of,
    one_or_more,
    pairs_of,
    state_name_of,
    text_of,
    warn_unknown_keys,
)
from .keys import OUTCOMES, STATE
from .model import Outcome
from .problems import Problems, quoted
from .yaml_nodes import Node

STOPPED = "stopped"
"""Known to every machine, and always final."""

_FINAL_BY_NAME = (STOPPED, "shutdown", "completed")
_HEADER = re.compile(r"\s*#\s*={3,}\s*(.*?)\s*={3,}\s*$")


@dataclass(slots=True)
class StateEntry:
    """What the file says about one state."""

    node: Node
    """Where it is declared; the whole file where states are only used."""
    heading: str | None = None
    """The group of the comment above it; `group` wins."""
    group: str | None = None
    description: str | None = None
    outcome: Outcome | None = None
    final: bool | None = None
    parent: Node | None = None
    actions: Node | None = None


def read_states(root: Node, lines: Sequence[str], findings: Problems) -> dict[str, StateEntry] | None:
    """The declared states in their order; None where the file declares none."""
    entries: dict[str, StateEntry] = {}
    for name_node, body in _declared(root.get("states"), findings):
        name = state_name_of(name_node, "a state", findings)
        if name is None:
            entries.setdefault(name_node.text, StateEntry(name_node))  # so that its uses are no further errors
        elif name in entries:
            findings.warn(name_node.mark, f"state {quoted(name)} is listed twice", "keep one of the two", code="E004")
        else:
            entries[name] = _entry(name_node, body, findings)
    _read_headings(root, entries, lines)
    return entries or None


def read_groups(root: Node, entries: Mapping[str, StateEntry], findings: Problems) -> None:
    """Put the states of `state_groups:` into their groups; a state's own `group:` wins."""
    for key, body in pairs_of(root.get("state_groups"), "state_groups", findings):
        members = body.get("states") if body.pairs is not None else body
        for node in one_or_more(members, f"group {quoted(key.text)}", findings):
            name = known_name_of(node, "state", entries, findings)
            if name is not None:
                entries[name].group = entries[name].group or key.text


def outcomes_of(
    root: Node, entries: Mapping[str, StateEntry], left: Container[str], findings: Problems
) -> dict[str, Outcome]:
    """How the machine ends in its final states; `left` are the states that transitions of their own leave."""
    listed = _read_finals(root, entries, findings)
    outcomes = {name: listed.get(name) or _own_outcome(name, entry, left) for name, entry in entries.items()}
    return {name: outcome for name, outcome in outcomes.items() if outcome is not None}


def parents_of(entries: Mapping[str, StateEntry], findings: Problems) -> dict[str, str]:
    """The state that each state lies in, where it says so."""
    parents: dict[str, str] = {}
    for name, entry in entries.items():
        node = entry.parent
        if node is not None and node.value is not None:
            parent = known_name_of(node, f"parent of {quoted(name)}", entries, findings)
            if parent is not None and name in _line(parent, parents):
                findings.error(
                    node.mark, f"state {quoted(name)} lies in itself", "a parent is another state", code="E002"
                )
            elif parent is not None:
                parents[name] = parent
    return parents


def _declared(section: Node | None, findings: Problems) -> Iterator[tuple[Node, Node | None]]:
    if section is not None and section.pairs is not None:
        yield from section.pairs
        return
    for item in items_of(section, "states", findings):
        yield item, None


def _entry(name_node: Node, body: Node | None, findings: Problems) -> StateEntry:
    entry = StateEntry(name_node)
    if body is None or body.value is None or isinstance(body.value, str):
        entry.description = body.text if body is not None else None
        return entry
    what = f"state {quoted(name_node.text)}"
    list(pairs_of(body, what, findings))
    warn_unknown_keys(body, what, STATE, findings)
    entry.group = text_of(body.get("group"), f"group of {what}", findings)
    entry.description = text_of(body.get("description"), f"description of {what}", findings)
    entry.parent, entry.actions = body.get("parent"), body.get("actions")
    entry.outcome = _outcome(body.get("outcome"), f"outcome of {what}", findings)
    _read_final(body.get("final"), entry, what, findings)
    return entry


def _read_final(node: Node | None, entry: StateEntry, what: str, findings: Problems) -> None:
    """`final: true`, `final: false`, or in short `final: failure`."""
    if node is not None and node.text in OUTCOMES:
        entry.outcome = entry.outcome or _outcome(node, what, findings)
    else:
        entry.final = flag_of(node, f"final of {what}", findings)


def _own_outcome(name: str, entry: StateEntry, left: Container[str]) -> Outcome | None:
    if entry.final is False and name != STOPPED:
        return None
    final = entry.final or name == STOPPED or (name in _FINAL_BY_NAME and name not in left)
    return entry.outcome or ("success" if final else None)


def _read_finals(root: Node, entries: Mapping[str, StateEntry], findings: Problems) -> dict[str, Outcome]:
    """The states under `final:`: a list, a map from state to outcome, or one from outcome to states."""
    section = root.get("final")
    if section is None or section.pairs is None:
        return _final_states(section, "success", entries, findings)
    outcomes: dict[str, Outcome] = {}
    for key, body in section.pairs:
        if key.value in OUTCOMES and key.value not in entries:
            outcomes |= _final_states(body, "failure" if key.value == "failure" else "success", entries, findings)
            continue
        name = _final_state(key, entries, findings)
        outcome = _outcome(body, f"outcome of {quoted(key.text)}", findings)
        if name is not None:
            outcomes[name] = outcome or "success"
    return outcomes


def _final_states(
    node: Node | None, outcome: Outcome, entries: Mapping[str, StateEntry], findings: Problems
) -> dict[str, Outcome]:
    names = [_final_state(item, entries, findings) for item in one_or_more(node, "final", findings)]
    return {name: outcome for name in names if name is not None}


def _final_state(node: Node, entries: Mapping[str, StateEntry], findings: Problems) -> str | None:
    return STOPPED if node.value == STOPPED else known_name_of(node, "final state", entries, findings)


def _outcome(node: Node | None, what: str, findings: Problems) -> Outcome | None:
    word = choice_of(node, what, OUTCOMES, findings)
    return "failure" if word == "failure" else "success" if word else None


def _read_headings(root: Node, entries: Mapping[str, StateEntry], lines: Sequence[str]) -> None:
    """A comment `# === NAME ===` between the states begins a group, as in the older engines' diagrams."""
    start = next((key.mark.line for key, _ in root.pairs or () if key.text == "states"), 0)
    heading = None
    for entry in entries.values():
        line = entry.node.mark.line
        for match in map(_HEADER.match, lines[start : line - 1]):
            heading = heading if match is None else match.group(1).removesuffix(" STATES").strip() or None
        start = max(start, line)
        entry.heading = heading


def _line(name: str, parents: Mapping[str, str]) -> Iterator[str]:
    """A state and those it lies in, innermost first."""
    inner: str | None = name
    while inner is not None:
        yield inner
        inner = parents.get(inner)
