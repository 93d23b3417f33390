"""A machine as the checks see it: its definition, the places in its file, and the classes of its actions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..actions.base import BaseAction
from ..actions.registry import ActionRegistry
from ..definition.model import ANY_STATE, ActionSpec, Definition, Mark, State, Transition
from ..definition.transition_section import state_nodes
from ..definition.yaml_nodes import Node
from ..errors import MachineError
from .finding import LintFinding
from .graph import Steps, connected
from .outcomes import Outcome, Outcomes, outcomes_of


@dataclass(frozen=True, eq=False)
class Action:
    """One action as it stands in the file."""

    spec: ActionSpec
    node: Node
    outcomes: Outcomes
    kind: type[BaseAction] | None
    """Its class; None if it cannot be found or loaded."""
    custom: bool
    """True if it does not come with the engine."""

    @property
    def is_watch(self) -> bool:
        """True if it waits in its state while it finds nothing."""
        return self.kind is not None and self.kind.watch is not None

    def mark_of(self, key: str) -> Mark:
        """Return the place of a key's value; the action's place if the key is absent."""
        return (self.value_of(key) or self.node).mark

    def value_of(self, key: str) -> Node | None:
        """Return a key's value, or that of another name for the key; the one beside `type` wins."""
        names = (key, *(other for other, meant in (self.kind.same_as if self.kind else {}).items() if meant == key))
        params = self.node.get("params")
        holders = (self.node, params) if params is not None else (self.node,)
        return next((value for holder in holders for name in names if (value := holder.get(name)) is not None), None)


@dataclass(frozen=True, eq=False)
class ActionList:
    """Actions that run one after another, and the state in which their events are taken."""

    actions: tuple[Action, ...]
    state: str
    """"*" for an internal transition from any state."""
    transition: Transition | None = None
    """The transition that starts them; None for entering the state alone."""


class Subject:
    """One machine under examination."""

    def __init__(self, definition: Definition, root: Node, registry: ActionRegistry, lines: Sequence[str]) -> None:
        self.definition = definition
        self.root = root
        self.registry = registry
        self.lines = lines
        self._nodes = {node.mark: node for node in _action_nodes(root)}
        self._actions: dict[tuple[Mark, str], Action] = {}

    @cached_property
    def states(self) -> list[State]:
        """Its states in the order of the file."""
        return list(self.definition.states.values())

    @cached_property
    def lists(self) -> list[ActionList]:
        """The lists of actions that can run: one for each state, and one for each transition with its own actions."""
        own = [ActionList(self._all(state.actions), state.name) for state in self.states if state.actions]
        return own + [self._list(transition) for transition in self.definition.transitions if transition.actions]

    @cached_property
    def actions(self) -> list[Action]:
        """The actions of all lists, each once."""
        return list(dict.fromkeys(action for group in self.lists for action in group.actions))

    @cached_property
    def is_graph(self) -> bool:
        """True if it has transitions; without any, checks of reachability make no sense."""
        return bool(self.definition.transitions)

    @cached_property
    def reachable(self) -> set[str]:
        """The states that it can reach, by whatever events."""
        initial = self.definition.initial_state
        return {initial, *connected([initial], self.steps)}

    @cached_property
    def steps(self) -> Steps:
        """The states that lie one transition away from each state."""
        return {name: {t.target for t in self.exits(name) if not t.internal} for name in self.definition.states}

    def exits(self, state: str) -> list[Transition]:
        """Return the transitions that can be taken in a state, one for each event."""
        return [] if self.definition.is_final(state) else self._exits[state]

    def takes(self, state: str, event: str) -> Transition | None:
        """Return the transition that an event takes in a state; for "*", the first one for the event anywhere."""
        if state != ANY_STATE:
            return self.definition.find(state, event)
        return self._by_event.get(event)

    def entries(self, state: str) -> list[ActionList]:
        """Return the lists that may run in a state, the one for entering it first."""
        return self._entries.get(state, [])

    def outcomes(self, group: ActionList) -> Iterator[tuple[Action, Outcome]]:
        """Yield every event that a list may cause, with the action that causes it."""
        for action in group.actions:
            yield from ((action, outcome) for outcome in action.outcomes.all if outcome.event)

    def place_of_state(self, name: str) -> Mark:
        """Return the place where a state is declared, or else named first."""
        return self._state_marks.get(name, self.root.mark)

    def place_in(self, node: Node, part: str, offset: int) -> Mark:
        """Return the place in the file of a part of a text; the part begins `offset` characters into the text."""
        times = node.text.count(part, 0, offset) + 1
        column = node.mark.column - 1
        for number in range(node.mark.line, len(self.lines) + 1):
            line = self.lines[number - 1]
            while (column := line.find(part, column)) >= 0:
                times -= 1
                if not times:
                    return Mark(node.mark.file, number, column + 1)
                column += len(part)
            column = 0
        return node.mark

    def finding(
        self, code: str, mark: Mark | None, message: str, hint: str | None = None,
        *, state: str | None = None, event: str | None = None,
    ) -> LintFinding:  # fmt: skip
        """Return a finding at a place of this file."""
        mark = mark or self.root.mark
        return LintFinding(code, message, mark.file, mark.line, mark.column, hint, state, event)

    @cached_property
    def _exits(self) -> dict[str, list[Transition]]:
        by_source: dict[str, list[Transition]] = {}
        for transition in self.definition.transitions:
            by_source.setdefault(transition.source, []).append(transition)
        wild = by_source.get(ANY_STATE, [])
        return {
            name: [t for t in (*by_source.get(name, ()), *wild) if self.definition.find(name, t.event) == t]
            for name in self.definition.states
        }

    @cached_property
    def _by_event(self) -> dict[str, Transition]:
        return {transition.event: transition for transition in reversed(self.definition.transitions)}

    @cached_property
    def _entries(self) -> dict[str, list[ActionList]]:
        entries: dict[str, list[ActionList]] = {}
        for group in self.lists:
            entries.setdefault(group.state, []).append(group)
        return entries

    @cached_property
    def _state_marks(self) -> dict[str, Mark]:
        root = self.root
        keys = [key for key, _ in root.pairs_under("actions")]
        named = [*names_in(root.get("states")), *state_nodes(root), *keys]
        return {node.text: node.mark for node in reversed(named)}

    def _list(self, transition: Transition) -> ActionList:
        entered = () if transition.internal else self.definition.states[transition.target].actions
        return ActionList(self._all((*transition.actions, *entered)), transition.target, transition)

    def _all(self, specs: tuple[ActionSpec, ...]) -> tuple[Action, ...]:
        return tuple(self._action(spec) for spec in specs)

    def _action(self, spec: ActionSpec) -> Action:
        assert spec.mark is not None
        key = (spec.mark, spec.type)
        if key not in self._actions:
            kind = self._class(spec.type)
            custom = self.registry.keys_of(spec.type) is None
            self._actions[key] = Action(spec, self._nodes[spec.mark], outcomes_of(spec, kind), kind, custom)
        return self._actions[key]

    def _class(self, action_type: str) -> type[BaseAction] | None:
        try:
            return self.registry.find(action_type)
        except MachineError:
            return None


def names_in(section: Node | None) -> list[Node]:
    """Return the names in a section that is a list of names, or a mapping whose keys are names."""
    if section is None:
        return []
    return [key for key, _ in section.pairs] if section.pairs is not None else list(section.items or ())


def _action_nodes(root: Node) -> Iterator[Node]:
    """Yield every mapping that is an item of a list of actions."""
    for _, body in root.pairs_under("actions"):
        yield from body.items or ()
    for holder in (*(body for _, body in root.pairs_under("states")), *root.items_under("transitions")):
        yield from holder.items_under("actions")
