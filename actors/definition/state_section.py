"""Read `states:`, `state_groups:` and `final:`: the states, their groups and how they end."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .field_kinds import read_closed
from .fields import choice_of, flag_of, items_of, known_name_of, one_or_more, pairs_of, state_name_of
from .keys import OUTCOMES, STATE_FIELDS
from .model import Outcome
from .problems import Problems, quoted
from .yaml_nodes import Node

STOPPED = "stopped"
"""The state that every machine knows, and that is always final."""

_FINAL_BY_NAME = (STOPPED, "shutdown", "completed")
_HEADER = re.compile(r"\s*#\s*={3,}\s*(.*?)\s*={3,}\s*$")


@dataclass(slots=True)
class StateEntry:
    """One state as the file describes it."""

    node: Node
    """Where it is declared; the whole file if states are only used."""
    heading: str | None = None
    """The group that a comment above it names; `group` wins."""
    group: str | None = None
    description: str | None = None
    outcome: Outcome | None = None
    final: bool | None = None
    parent: Node | None = None
    actions: Node | None = None


def read_states(root: Node, lines: Sequence[str], problems: Problems) -> dict[str, StateEntry] | None:
    """Return the declared states in their order; None if the file declares none."""
    entries: dict[str, StateEntry] = {}
    for name_node, body in _declared(root.get("states"), problems):
        name = state_name_of(name_node, "a state", problems)
        if name is None:
            entries.setdefault(name_node.text, StateEntry(name_node))  # so that its uses are not reported as well
        elif name in entries:
            problems.warn(name_node.mark, f"state {quoted(name)} is listed twice", "keep one of the two", code="E004")
        else:
            entries[name] = _entry(name_node, body, problems)
    _read_headings(root, entries, lines)
    return entries or None


def read_groups(root: Node, entries: Mapping[str, StateEntry], problems: Problems) -> None:
    """Put the states of `state_groups:` into their groups; a state's own `group:` wins."""
    for key, body in pairs_of(root.get("state_groups"), "state_groups", problems):
        members = body.get("states") if body.pairs is not None else body
        for node in one_or_more(members, f"group {quoted(key.text)}", problems):
            name = known_name_of(node, "state", entries, problems)
            if name is not None:
                entries[name].group = entries[name].group or key.text


def outcomes_of(
    root: Node, entries: Mapping[str, StateEntry], left: Container[str], problems: Problems
) -> dict[str, Outcome]:
    """Return how the machine ends in each final state; `left` are the states with transitions of their own."""
    listed = _read_finals(root, entries, problems)
    outcomes = {name: listed.get(name) or _own_outcome(name, entry, left) for name, entry in entries.items()}
    return {name: outcome for name, outcome in outcomes.items() if outcome is not None}


def parents_of(entries: Mapping[str, StateEntry], problems: Problems) -> dict[str, str]:
    """Return the parent of each state that names one."""
    parents: dict[str, str] = {}
    for name, entry in entries.items():
        node = entry.parent
        if node is not None and node.value is not None:
            parent = known_name_of(node, f"parent of {quoted(name)}", entries, problems)
            if parent is not None and name in _ancestry(parent, parents):
                problems.error(
                    node.mark, f"state {quoted(name)} lies in itself", "a parent is another state", code="E002"
                )
            elif parent is not None:
                parents[name] = parent
    return parents


def _declared(section: Node | None, problems: Problems) -> Iterator[tuple[Node, Node | None]]:
    if section is not None and section.pairs is not None:
        yield from section.pairs
        return
    for item in items_of(section, "states", problems):
        yield item, None


def _entry(name_node: Node, body: Node | None, problems: Problems) -> StateEntry:
    if body is None or body.value is None or isinstance(body.value, str):
        return StateEntry(name_node, description=body.text if body is not None else None)
    what = f"state {quoted(name_node.text)}"
    entry = StateEntry(name_node, **read_closed(body, what, STATE_FIELDS, problems))
    final = body.get("final")
    if final is not None and final.text in OUTCOMES:  # in short for `final: true` and `outcome:`
        entry.outcome = entry.outcome or _outcome(final, what, problems)
    else:
        entry.final = flag_of(final, f"final of {what}", problems)
    return entry


def _own_outcome(name: str, entry: StateEntry, left: Container[str]) -> Outcome | None:
    if entry.final is False and name != STOPPED:
        return None
    final = entry.final or name == STOPPED or (name in _FINAL_BY_NAME and name not in left)
    return entry.outcome or ("success" if final else None)


def _read_finals(root: Node, entries: Mapping[str, StateEntry], problems: Problems) -> dict[str, Outcome]:
    """Read `final:`, which is a list, a map from state to outcome, or a map from outcome to states."""
    section = root.get("final")
    if section is None or section.pairs is None:
        return _final_states(section, "success", entries, problems)
    outcomes: dict[str, Outcome] = {}
    for key, body in section.pairs:
        if key.value in OUTCOMES and key.value not in entries:
            outcomes |= _final_states(body, "failure" if key.value == "failure" else "success", entries, problems)
            continue
        name = _final_state(key, entries, problems)
        outcome = _outcome(body, f"outcome of {quoted(key.text)}", problems)
        if name is not None:
            outcomes[name] = outcome or "success"
    return outcomes


def _final_states(
    node: Node | None, outcome: Outcome, entries: Mapping[str, StateEntry], problems: Problems
) -> dict[str, Outcome]:
    names = (_final_state(item, entries, problems) for item in one_or_more(node, "final", problems))
    return {name: outcome for name in names if name is not None}


def _final_state(node: Node, entries: Mapping[str, StateEntry], problems: Problems) -> str | None:
    return STOPPED if node.value == STOPPED else known_name_of(node, "final state", entries, problems)


def _outcome(node: Node | None, what: str, problems: Problems) -> Outcome | None:
    word = choice_of(node, what, OUTCOMES, problems)
    return "failure" if word == "failure" else "success" if word else None


def _read_headings(root: Node, entries: Mapping[str, StateEntry], lines: Sequence[str]) -> None:
    """Read comments `# === NAME ===` between the states: each begins a group, as in the older engines' diagrams."""
    start = next((key.mark.line for key, _ in root.pairs or () if key.text == "states"), 0)
    heading = None
    for entry in entries.values():
        line = entry.node.mark.line
        for match in map(_HEADER.match, lines[start : line - 1]):
            heading = heading if match is None else match.group(1).removesuffix(" STATES").strip() or None
        start = max(start, line)
        entry.heading = heading


def _ancestry(name: str, parents: Mapping[str, str]) -> Iterator[str]:
    """Yield a state and those it lies in, innermost first."""
    inner: str | None = name
    while inner is not None:
        yield inner
        inner = parents.get(inner)
