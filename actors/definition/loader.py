"""Turn a machine's YAML file into a Definition, or raise a ConfigError with everything that is wrong."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from . import keys
from .action_section import KnownKeys, read_actions
from .event_section import read_events
from .fields import known_name_of, pairs_of, state_name_of, warn_unknown_keys
from .model import ActionSpec, Definition, Event, Mark, State, Transition, timeouts_by_state
from .problems import Problems, did_you_mean, listing, quoted
from .schedule_section import read_schedules
from .settings_section import read_machine_name, read_settings
from .state_section import STOPPED, StateEntry, outcomes_of, parents_of, read_groups, read_states
from .transition_section import named_states, read_transitions
from .yaml_nodes import Node, compose, read_text, wrap

_DEFAULT_STATE = "waiting"
_Bodies = dict[str, tuple[Node, Node]]
"""State -> the key that names it under `actions:`, and its list of actions."""


def _keys_unknown(_: str) -> None:
    return None


def load(path: str | Path, *, machine_name: str | None = None, known_keys: KnownKeys = _keys_unknown) -> Definition:
    """Read a machine from its file.

    `machine_name` wins over the file's own name. `known_keys` returns the keys of an action type, so that misspelt
    keys are warned about. Raise ConfigError with every problem, also if the file cannot be read.
    """
    problems = Problems()
    path = Path(path)
    text = read_text(path, problems)
    root = compose(text, str(path), problems)
    return _Reading(root, problems, known_keys, path.stem, machine_name, text.splitlines(), path).definition()


def load_text(
    text: str,
    name: str = "<string>",
    *,
    machine_name: str | None = None,
    known_keys: KnownKeys = _keys_unknown,
) -> Definition:
    """Read a machine from YAML text; `name` stands for the file. Raise ConfigError."""
    problems = Problems()
    root = compose(text, name, problems)
    return _Reading(root, problems, known_keys, _stem(name), machine_name, text.splitlines()).definition()


def from_dict(
    config: Mapping[str, Any],
    name: str = "<dict>",
    *,
    machine_name: str | None = None,
    known_keys: KnownKeys = _keys_unknown,
) -> Definition:
    """Read a machine from Python data of the shape of its file. Raise ConfigError."""
    problems = Problems()
    root = wrap(config, Mark(name), problems)
    return _Reading(root, problems, known_keys, _stem(name), machine_name).definition()


@dataclass(slots=True)
class _Reading:
    """One pass over a file, section by section. It collects the errors and raises them at the end."""

    root: Node
    problems: Problems
    known_keys: KnownKeys
    stem: str
    machine_name: str | None = None
    lines: Sequence[str] = ()
    path: Path | None = None

    def definition(self) -> Definition:
        root, problems = self.root, self.problems
        self._require_mapping()
        warn_unknown_keys(root, "a machine", keys.MACHINE, problems)
        bodies = self._action_lists()
        entries = self._entries(bodies)
        initial_state = self._initial_state(entries)
        events = read_events(root, problems)
        declared = events or {}
        transitions = read_transitions(root, entries, events, self.known_keys, problems)
        states = self._states(entries, transitions, self._actions(bodies, entries))
        schedules = read_schedules(root, events, problems)
        machine_name = read_machine_name(root, self.machine_name, self.stem, problems)
        settings = read_settings(root, states, problems)
        if initial_state is None or problems.errors:
            raise problems.failure()
        return Definition(
            machine_name=machine_name,
            initial_state=initial_state,
            states=states,
            transitions=transitions,
            events=declared | {t.event: Event(t.event) for t in transitions if t.event not in declared},
            schedules=schedules,
            config_type=self.stem,
            config=root.value,
            source=self.path,
            warnings=tuple(problems.warnings),
            hash=_digest(root.value),
            **settings,
        )

    def _require_mapping(self) -> None:
        root = self.root
        if root.value is None:
            hint = "a machine begins with 'initial_state: <state>'"
            raise self.problems.fatal(root.mark, "the file is empty", hint, code="E000")
        if root.pairs is None:
            hint = "write 'initial_state: <state>', 'transitions:' and 'actions:' at the left margin"
            raise self.problems.fatal(root.mark, f"a machine must be a mapping, not {root.kind}", hint, code="E000")

    def _action_lists(self) -> _Bodies:
        """Return the lists under `actions:` by state, each with its key."""
        section = self.root.get("actions")
        if section is not None and section.items is not None:
            hint = "name the state whose actions they are: 'actions:', below it '<state>:', below it the list"
            self.problems.error(section.mark, "'actions' must be a mapping from states to lists, not a list", hint)
            return {}
        pairs = pairs_of(section, "actions", self.problems)
        named = [(state_name_of(key, "a state under 'actions'", self.problems), key, body) for key, body in pairs]
        return {name: (key, body) for name, key, body in named if name is not None}

    def _entries(self, bodies: _Bodies) -> dict[str, StateEntry]:
        """Return the declared states; if the file declares none, every state that it names."""
        entries = read_states(self.root, self.lines, self.problems)
        initial = self.root.get("initial_state")
        used = [initial.value] if initial is not None and isinstance(initial.value, str) else []
        used += named_states(self.root)
        if entries is None:
            self._warn_stray_actions(bodies, used)
            entries = {name: StateEntry(self.root) for name in (*used, *bodies)}
        elif STOPPED in used or STOPPED in bodies:
            entries.setdefault(STOPPED, StateEntry(self.root))
        read_groups(self.root, entries, self.problems)
        return entries

    def _warn_stray_actions(self, bodies: _Bodies, used: Collection[str]) -> None:
        for name, (key, _) in bodies.items():
            if name not in used and name != _DEFAULT_STATE:
                message = f"no transition names the state {quoted(name)}; these actions never run"
                self.problems.warn(key.mark, message, did_you_mean(name, used), code="W001")

    def _initial_state(self, entries: Mapping[str, StateEntry]) -> str | None:
        node = self.root.get("initial_state")
        if node is not None:
            name = state_name_of(node, "initial_state", self.problems)
            return None if name is None else known_name_of(node, "initial_state", entries, self.problems, code="E001")
        if _DEFAULT_STATE in entries:
            return _DEFAULT_STATE
        message = f"there is no 'initial_state', and no state '{_DEFAULT_STATE}' that would be the default"
        hint = f"write 'initial_state: <state>'; states: {listing(entries)}"
        self.problems.error(self.root.mark, message, hint, code="E001")
        return None

    def _actions(self, bodies: _Bodies, entries: Mapping[str, StateEntry]) -> dict[str, tuple[ActionSpec, ...]]:
        actions = {}
        for name, (key, body) in bodies.items():
            known_name_of(key, "state", entries, self.problems)
            actions[name] = read_actions(body, f"state {quoted(name)}", self.known_keys, self.problems)
        for name, entry in entries.items():
            if entry.actions is None:
                continue
            if name in actions:
                message = f"state {quoted(name)} has actions here and under 'actions'"
                self.problems.error(entry.actions.mark, message, "keep them in one place", code="E018")
            actions[name] = read_actions(entry.actions, f"state {quoted(name)}", self.known_keys, self.problems)
        return actions

    def _states(
        self,
        entries: Mapping[str, StateEntry],
        transitions: Sequence[Transition],
        actions: Mapping[str, tuple[ActionSpec, ...]],
    ) -> dict[str, State]:
        outcomes = outcomes_of(self.root, entries, {t.source for t in transitions if not t.internal}, self.problems)
        parents = parents_of(entries, self.problems)
        timeouts = timeouts_by_state(entries.keys() - outcomes.keys(), transitions)
        return {
            name: State(
                name=name,
                actions=actions.get(name, ()),
                parent=parents.get(name),
                group=entry.group or entry.heading,
                description=entry.description,
                outcome=outcomes.get(name),
                timeouts=timeouts.get(name, ()),
            )
            for name, entry in entries.items()
        }


def _stem(name: str) -> str:
    return Path(name).stem.strip("<>")


def _digest(config: object) -> str:
    return sha256(json.dumps(_canonical(config), default=repr).encode()).hexdigest()


def _canonical(value: object) -> object:
    """Return mappings as sorted pairs: the order of keys has no meaning, and numbers may be keys."""
    if isinstance(value, dict):
        return sorted([repr(key), _canonical(item)] for key, item in value.items())
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return value
