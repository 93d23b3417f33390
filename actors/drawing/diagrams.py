"""Make the diagrams of a machine as plain records, which the renderers in drawing/ turn into text and pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..definition.model import ANY_STATE, Definition, Outcome, Transition
from .ids import group_ids_of, ids_of

NodeKind = Literal["state", "start", "end", "any", "group", "outside"]
"""What a node shows: "any" is every state, "group" all states of a group, "outside" a state of another group."""

Moves = Mapping[tuple[str, str, str], int]
"""(source, target, event) -> the number of times that a machine took this transition."""

START, END = "(start)", "(end)"
_ERRORS = frozenset({"error"})
_STOPS = frozenset({"stop", "shutdown"})


@dataclass(frozen=True, slots=True)
class Node:
    """A start or end of arrows."""

    id: str
    name: str
    kind: NodeKind = "state"
    box: str | None = None
    """The id of the box that it stands in."""
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A frame around the states of a group."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow between two nodes or boxes."""

    source: str
    target: str
    event: str = ""
    remarks: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    """Types of the transition's own actions."""
    count: int | None = None
    """The number of times that it was taken; None without counts."""

    @property
    def label(self) -> str:
        """The text beside the arrow, such as `event (internal) / log, bash ×12`."""
        remarks = f" ({', '.join(self.remarks)})" if self.remarks else ""
        actions = f" / {', '.join(self.actions)}" if self.actions else ""
        count = f" ×{self.count}" if self.count is not None else ""
        return f"{self.event}{remarks}{actions}{count}".strip()


@dataclass(frozen=True, slots=True)
class Diagram:
    """One picture. Nodes and edges keep the order of the file, so that it looks the same each time."""

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    boxes: tuple[Box, ...] = ()


class DiagramSet:
    """All diagrams of one machine.

    Of several transitions for one event of one state, only the first is drawn: the others are never taken.
    """

    def __init__(self, definition: Definition, moves: Moves | None = None) -> None:
        """Prepare the diagrams. The counts of `moves`, the transitions taken so far, are written beside the arrows."""
        self.definition = definition
        self.title = " ".join((definition.title or "").split()) or definition.machine_name
        self.ids = ids_of(definition.states)
        self.groups = definition.groups
        self.group_ids = group_ids_of(self.groups, self.ids.values())
        self.transitions = definition.effective_transitions
        self.strange_moves = 0
        """The number of moves for which this definition has no arrow."""
        self._any = ids_of(["any_state"], [*self.ids.values(), *self.group_ids.values()])["any_state"]
        self._counts = None if moves is None else self._counted(moves)

    def whole(self) -> Diagram:
        """Return the diagram of every state and transition, with the groups as boxes."""
        edges = [self._edge(transition) for transition in self.transitions]
        return self._framed(self.title, self._boxed_nodes(), edges, self._boxes())

    def main(self) -> Diagram:
        """Return the overview: a node for each group, an arrow for each pair. Without groups: the whole machine."""
        if not self.groups:
            return self.whole()
        nodes = dict.fromkeys(self._node_on_main(name) for name in self.ids)
        edges: dict[object, Edge] = {}
        for transition in self.transitions:
            edge = self._edge_on_main(transition)
            if edge is not None:
                grouped = {edge.source, edge.target} & set(self.group_ids.values())
                key = (edge.source, edge.target) if grouped else edge
                edges[key] = _sum(edges[key], edge) if key in edges else edge
        return self._framed(f"{self.title}: overview", list(nodes), list(edges.values()), at=self._box_or_id)

    def group(self, name: str) -> Diagram:
        """Return the diagram of a group's states, and of the states outside it that transitions connect with them."""
        members = self.groups[name]
        near = [t for t in self.transitions if t.source in members or t.target in members]
        touched = {end for t in near for end in (t.source, t.target)} - {ANY_STATE}
        nodes = [self._node(state) for state in members]
        nodes += [replace(self._node(s), kind="outside") for s in self.ids if s in touched and s not in members]
        return self._framed(f"{self.title}: {name}", nodes, [self._edge(t) for t in near])

    def flow(self) -> Diagram:
        """Return the machine without its error and stop transitions. Arrows between groups lead from box to box."""
        boxes = self._boxes()
        edges = [edge for t in self.transitions if t.event not in _ERRORS | _STOPS for edge in self._steps(t)]
        initial = self._box_of(self.definition.initial_state)
        if initial is not None:
            edges.insert(0, Edge(initial + START, self.ids[self.definition.initial_state]))
        for name, outcome in self._finals():
            box = self._box_of(name)
            if box is not None:
                edges.append(Edge(self.ids[name], box + END, _ending(outcome)))
        nodes = [*self._boxed_nodes(), *_box_ends(boxes, edges)]
        return self._framed(self.title, nodes, edges, boxes, at=self._box_or_id)

    def errors(self) -> Diagram:
        """Return the diagram of the transitions that `error` takes."""
        return self._excerpt("error handling", _ERRORS)

    def stops(self) -> Diagram:
        """Return the diagram of the transitions that `stop` and `shutdown` take."""
        return self._excerpt("stop", _STOPS)

    def metadata(self) -> dict[str, Any]:
        """Return the list of diagrams in the form that the page reads."""
        definition = self.definition
        diagrams: dict[str, Any] = {
            "main": {
                "file": "main.mermaid",
                "title": self.title,
                "description": definition.description or f"State machine {definition.machine_name}",
                "composites": list(self.group_ids.values()),
            }
        }
        for name, group_id in self.group_ids.items():
            diagrams[group_id] = self._group_metadata(name, group_id)
        return {
            "machine_name": definition.machine_name,
            "config_type": definition.config_type,
            "template": definition.template,
            "state_ids": self.ids,
            "diagrams": diagrams,
        }

    # Helpers

    def _group_metadata(self, name: str, group_id: str) -> dict[str, Any]:
        members = self.groups[name]
        entered = {t.target for t in self.transitions if t.source not in members} | {self.definition.initial_state}
        left = {t.source for t in self.transitions if t.target not in members}
        return {
            "file": f"{group_id}.mermaid",
            "title": name,
            "description": f"{len(members)} state{'s' * (len(members) != 1)} of {self.title}",
            "states": list(members),
            "entry_states": [state for state in members if state in entered],
            "exit_states": [state for state in members if state in left],
            "parent": "main",
        }

    def _counted(self, moves: Moves) -> dict[Transition, int]:
        counts = dict.fromkeys(self.transitions, 0)
        for (source, target, event), count in moves.items():
            transition = self.definition.find(source, event)
            if transition is not None and (source if transition.internal else transition.target) == target:
                counts[transition] += count
            else:
                self.strange_moves += count
        return counts

    def _boxed_nodes(self) -> list[Node]:
        return [self._node(name, self._box_of(name)) for name in self.ids]

    def _boxes(self) -> tuple[Box, ...]:
        return tuple(Box(self.group_ids[name], name) for name in self.groups)

    def _box_of(self, state: str) -> str | None:
        group = self.definition.states[state].group
        return None if group is None else self.group_ids[group]

    def _box_or_id(self, state: str) -> str:
        return self._box_of(state) or self.ids[state]

    def _node(self, state: str, box: str | None = None) -> Node:
        return Node(self.ids[state], state, box=box, outcome=self.definition.states[state].outcome)

    def _node_on_main(self, state: str) -> Node:
        group = self.definition.states[state].group
        return self._node(state) if group is None else Node(self.group_ids[group], group, "group")

    def _edge(self, transition: Transition, at: Callable[[str], str] | None = None) -> Edge:
        at = at or self.ids.__getitem__
        source, target = (self._any if end == ANY_STATE else at(end) for end in (transition.source, transition.target))
        return Edge(
            source, target, transition.event, _remarks(transition), tuple(a.type for a in transition.actions),
            None if self._counts is None else self._counts[transition],
        )  # fmt: skip

    def _edge_on_main(self, transition: Transition) -> Edge | None:
        """Return the edge of the overview; None if the transition stays inside a group."""
        edge = self._edge(transition, self._box_or_id)
        grouped = {edge.source, edge.target} & set(self.group_ids.values())
        if grouped and edge.source == edge.target:
            return None
        return replace(edge, remarks=(), actions=()) if grouped else edge

    def _steps(self, transition: Transition) -> Iterable[Edge]:
        """Yield one edge. Between groups, yield up to three: out of one box, over to the other, and on to the state."""
        edge = self._edge(transition)
        source = None if transition.source == ANY_STATE else self._box_of(transition.source)
        target = None if transition.target == ANY_STATE else self._box_of(transition.target)
        if source == target:
            yield edge
            return
        if source is not None:
            yield replace(edge, target=source + END)
        yield Edge(source or edge.source, target or edge.target, edge.event)
        if target is not None:
            yield Edge(target + START, edge.target, edge.event)

    def _excerpt(self, subject: str, events: frozenset[str]) -> Diagram:
        chosen = [t for t in self.transitions if t.event in events]
        touched = {end for t in chosen for end in (t.source, t.target)}
        nodes = [self._node(name) for name in self.ids if name in touched]
        return self._framed(f"{self.title}: {subject}", nodes, [self._edge(t) for t in chosen], start=False)

    def _finals(self) -> list[tuple[str, Outcome]]:
        return [(name, s.outcome) for name, s in self.definition.states.items() if s.outcome is not None]

    def _framed(
        self, title: str, nodes: list[Node], edges: list[Edge], boxes: tuple[Box, ...] = (), *,
        at: Callable[[str], str] | None = None, start: bool = True,
    ) -> Diagram:  # fmt: skip
        """Return the diagram with its start and end, as far as the nodes show them, and with the node for any state."""
        at = at or self.ids.__getitem__
        shown = {node.id for node in nodes if node.kind != "outside"} | {box.id for box in boxes}
        begin = at(self.definition.initial_state)
        firsts = [Edge(START, begin)] if start and begin in shown else []
        lasts = [Edge(at(name), END, _ending(how)) for name, how in self._finals() if at(name) in shown]
        ends = list(dict.fromkeys(lasts))
        return Diagram(
            title,
            (
                *([Node(START, "start", "start")] if firsts else []),
                *nodes,
                *([Node(self._any, "any state", "any")] if any(e.source == self._any for e in edges) else []),
                *([Node(END, "end", "end")] if ends else []),
            ),
            tuple(dict.fromkeys([*firsts, *edges, *ends])),
            boxes,
        )


def _remarks(transition: Transition) -> tuple[str, ...]:
    remarks = ["internal"] if transition.internal else []
    if transition.interrupt is not None:
        remarks.append("interrupts" if transition.interrupt else "waits")
    return tuple(remarks)


def _ending(outcome: Outcome) -> str:
    return "failure" if outcome == "failure" else ""


def _sum(first: Edge, other: Edge) -> Edge:
    return first if first.count is None else replace(first, count=first.count + (other.count or 0))


def _box_ends(boxes: Iterable[Box], edges: Iterable[Edge]) -> list[Node]:
    used = {end for edge in edges for end in (edge.source, edge.target)}
    ends = [
        Node(box.id + which, which.strip("()"), "start" if which == START else "end", box.id)
        for box in boxes
        for which in (START, END)
    ]
    return [node for node in ends if node.id in used]
