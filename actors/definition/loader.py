"""Turns a machine's YAML file into a Definition, or into a ConfigError with everything that is wrong."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from . import keys
from .action_section import KnownKeys, read_actions
from .event_section import read_events
from .fields import flag_of, known_name_of, pairs_of, state_name_of, text_of, warn_unknown_keys
from .model import ActionSpec, Definition, Event, Mark, State, Transition, timeouts_by_state
from .problems import Problems, did_you_mean, listing, quoted
from .schedule_section import read_schedules
from .settings_section import (
    read_context,
    read_machine_name,
    read_metadata,
    read_on_error,
    read_on_restart,
    read_on_unhandled,
    read_timers,
    read_title,
)
from .state_section import STOPPED, StateEntry, outcomes_of, parents_of, read_groups, read_states
from .transition_section import named_states, read_transitions
from .yaml_nodes import Node, compose, read_text, wrap

_DEFAULT_STATE = "waiting"


def _keys_unknown(_: str) -> None:
    return None


def load(path: str | Path, *, machine_name: str | None = None, known_keys: KnownKeys = _keys_unknown) -> Definition:
    """Read a machine from its file.

    `machine_name` wins over the file's own; `known_keys` gives the keys of an action type, so that misspelt ones
    are warned about. Raises ConfigError with every problem, also where the file cannot be read.
    """
    findings = Problems()
    path = Path(path)
    text = read_text(path, findings)
    root = compose(text, str(path), findings)
    return _Reading(root, findings, known_keys, path.stem, machine_name, text.splitlines(), path).definition()


def load_text(
    text: str,
    name: str = "<string>",
    *,
    machine_name: str | None = None,
    known_keys: KnownKeys = _keys_unknown,
) -> Definition:
    """Read a machine from YAML text; `name` stands for the file. Raises ConfigError."""
    findings = Problems()
    root = compose(text, name, findings)
    return _Reading(root, findings, known_keys, _stem(name), machine_name, text.splitlines()).definition()


def from_dict(
    config: Mapping[str, Any],
    name: str = "<dict>",
    *,
    machine_name: str | None = None,
    known_keys: KnownKeys = _keys_unknown,
) -> Definition:
    """Read a machine from Python data of the shape of its file. Raises ConfigError."""
    findings = Problems()
    root = wrap(config, Mark(name), findings)
    return _Reading(root, findings, known_keys, _stem(name), machine_name).definition()


@dataclass(slots=True)
class _Reading:
    """One pass over a file, section by section; errors are gathered, and raised at the end."""

    root: Node
    findings: Problems
    known_keys: KnownKeys
    stem: str
    machine_name: str | None = None
    lines: Sequence[str] = ()
    path: Path | None = None

    def definition(self) -> Definition:
        root, findings = self.root, self.findings
        self._refuse_what_is_no_mapping()
        warn_unknown_keys(root, "a machine", keys.MACHINE, findings)
        bodies = self._action_lists()
        entries = self._entries(bodies)
        initial_state = self._initial_state(entries)
        events = read_events(root, findings)
        transitions = read_transitions(root, entries, events, self.known_keys, findings)
        states = self._states(entries, transitions, self._actions(bodies, entries))
        schedules = read_schedules(root, events, findings)
        settings = self._settings(states)
        if initial_state is None or findings.errors:
            raise findings.failure()
        return Definition(
            initial_state=initial_state,
            states=states,
            transitions=transitions,
            events=_events(events or {}, transitions),
            schedules=schedules,
            config_type=self.stem,
            config=root.value,
            source=self.path,
            warnings=tuple(findings.warnings),
            hash=_digest(root.value),
            **settings,
        )

    def _settings(self, states: Collection[str]) -> dict[str, Any]:
        root, findings = self.root, self.findings
        return {
            "machine_name": read_machine_name(root, self.machine_name, self.stem, findings),
            "title": read_title(root, findings),
            "description": text_of(root.get("description"), "description", findings),
            "metadata": read_metadata(root, findings),
            "context": read_context(root, findings),
            "on_unhandled": read_on_unhandled(root, findings),
            "on_error": read_on_error(root, findings),
            "on_restart": read_on_restart(root, states, findings),
            "timers": read_timers(root, findings),
            "template": flag_of(root.get("template"), "template", findings) or False,
            "actions_root": text_of(root.get("actions_root"), "actions_root", findings),
        }

    def _refuse_what_is_no_mapping(self) -> None:
        root = self.root
        if root.value is None:
            raise self.findings.fatal(
                root.mark, "the file is empty", "a machine begins with 'initial_state: <state>'", code="E000"
            )
        if root.pairs is None:
            hint = "write 'initial_state: <state>', 'transitions:' and 'actions:' at the left margin"
            raise self.findings.fatal(root.mark, f"a machine must be a mapping, not {root.kind}", hint, code="E000")

    def _action_lists(self) -> dict[str, tuple[Node, Node]]:
        """What stands under `actions:`, by state, with the key that says so."""
        section = self.root.get("actions")
        if section is not None and section.items is not None:
            hint = "name the state whose actions they are: 'actions:', below it '<state>:', below it the list"
            self.findings.error(section.mark, "'actions' must be a mapping from states to lists, not a list", hint)
            return {}
        pairs = pairs_of(section, "actions", self.findings)
        named = [(state_name_of(key, "a state under 'actions'", self.findings), key, body) for key, body in pairs]
        return {name: (key, body) for name, key, body in named if name is not None}

    def _entries(self, bodies: Mapping[str, object]) -> dict[str, StateEntry]:
        """The states, declared or, where the file declares none, named somewhere in it."""
        entries = read_states(self.root, self.lines, self.findings)
        initial = self.root.get("initial_state")
        used = [initial.value] if initial is not None and isinstance(initial.value, str) else []
        used += named_states(self.root)
        if entries is None:
            self._warn_stray_actions(bodies, used)
            entries = {name: StateEntry(self.root) for name in (*used, *bodies)}
        elif STOPPED in used or STOPPED in bodies:
            entries.setdefault(STOPPED, StateEntry(self.root))
        read_groups(self.root, entries, self.findings)
        return entries

    def _warn_stray_actions(self, bodies: Mapping[str, object], used: Collection[str]) -> None:
        section = self.root.get("actions")
        for key, _ in (section.pairs or ()) if section is not None else ():
            if key.text in bodies and key.text not in used and key.text != _DEFAULT_STATE:
                message = f"no transition names the state {quoted(key.text)}; these actions never run"
                self.findings.warn(key.mark, message, did_you_mean(key.text, used), code="W001")

    def _initial_state(self, entries: Mapping[str, StateEntry]) -> str | None:
        node = self.root.get("initial_state")
        if node is not None:
            name = state_name_of(node, "initial_state", self.findings)
            return None if name is None else known_name_of(node, "initial_state", entries, self.findings, code="E001")
        if _DEFAULT_STATE in entries:
            return _DEFAULT_STATE
        message = f"there is no 'initial_state', and no state '{_DEFAULT_STATE}' that would be the default"
        hint = f"write 'initial_state: <state>'; states: {listing(entries)}"
        self.findings.error(self.root.mark, message, hint, code="E001")
        return None

    def _actions(
        self, bodies: Mapping[str, tuple[Node, Node]], entries: Mapping[str, StateEntry]
    ) -> dict[str, tuple[ActionSpec, ...]]:
        actions = {}
        for name, (key, body) in bodies.items():
            known_name_of(key, "state", entries, self.findings)
            actions[name] = read_actions(body, f"state {quoted(name)}", self.known_keys, self.findings)
        for name, entry in entries.items():
            if entry.actions is None:
                continue
            if name in actions:
                message = f"state {quoted(name)} has actions here and under 'actions'"
                self.findings.error(entry.actions.mark, message, "keep them in one place", code="E018")
            actions[name] = read_actions(entry.actions, f"state {quoted(name)}", self.known_keys, self.findings)
        return actions

    def _states(
        self,
        entries: Mapping[str, StateEntry],
        transitions: Sequence[Transition],
        actions: Mapping[str, tuple[ActionSpec, ...]],
    ) -> dict[str, State]:
        outcomes = outcomes_of(self.root, entries, {t.source for t in transitions if not t.internal}, self.findings)
        parents = parents_of(entries, self.findings)
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


def _events(declared: Mapping[str, Event], transitions: Iterable[Transition]) -> dict[str, Event]:
    return {**declared, **{t.event: Event(t.event) for t in transitions if t.event not in declared}}


def _digest(config: object) -> str:
    return sha256(json.dumps(_canonical(config), default=repr).encode()).hexdigest()


def _canonical(value: object) -> object:
    """Mappings as sorted pairs: the order of keys says nothing, and numbers may be keys."""
    if isinstance(value, dict):
        return sorted([repr(key), _canonical(item)] for key, item in value.items())
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return value
