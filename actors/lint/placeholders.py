"""Check placeholders: names that nothing sets, paths that do not exist, text that only looks like a placeholder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple

from ..definition.model import Mark
from ..definition.problems import quoted
from ..definition.reserved_keys import RESERVED
from ..definition.yaml_nodes import Node
from ..placeholders.filters import FILTERS
from ..placeholders.interpolation import MISSING, Placeholder, pieces_at, resolve
from ..sockets.messages import START, event_data
from .finding import LintFinding
from .subject import Action, Subject

_JOB = ("id", "job_id", "job_type", "source_job_id")
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "event_data": tuple(event_data(START)),
    "current_job": (*_JOB, "data", "priority", "attempt"),
}
_FILTERS = (*FILTERS, "default", "join", "raw")
_CLAIMING = ("check_database_queue", "claim_job")
_SPACED = re.compile(r"\{\s*(\w+)[\w.]*\s*(?:\|\s*[\w.]+(?:\s*:[^{}|]*)?\s*)*\}")
_NO_FILTER = re.compile(r"\{(\w+)[\w.]*(?:\|[^{}\s]*)+\}")
_SETTING = r"(?:\b(?:for|select|read|readarray|mapfile|getopts|local|declare|typeset|export)\b|-v )"
_SHELL_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


class Use(NamedTuple):
    """A placeholder where it stands."""

    action: Action
    node: Node
    placeholder: Placeholder
    offset: int
    """The number of characters before it in the value."""

    def mark(self, subject: Subject) -> Mark:
        """Return its place in the file."""
        return subject.place_in(self.node, self.placeholder.source, self.offset)

    @property
    def segments(self) -> list[str]:
        """The parts after its path: other paths and filters."""
        return self.placeholder.source[1:-1].split("|")[1:]

    @property
    def has_default(self) -> bool:
        """True if it names a value for a missing variable."""
        return any(s.startswith("default:") or s.partition(":")[0] not in _FILTERS for s in self.segments)


@dataclass(frozen=True)
class Names:
    """The variables that a machine may have."""

    known: frozenset[str]
    open: bool
    """True if there may be others: jobs have variables of their own, and custom actions set any."""


def unknown_names(subject: Subject) -> Iterator[LintFinding]:
    """Report E012 or W009: nothing sets the variable. It is an error if the name is close to a known one."""
    names = _names(subject)
    for use in _uses(subject):
        root = use.placeholder.path[0]
        params = use.action.spec.config.get("params")
        if root in names.known or use.has_default or (isinstance(params, Mapping) and root in params):
            continue
        near = _misspelt(use, names)
        message = f"nothing sets the variable {quoted(root)}"
        if near is not None:
            yield subject.finding("E012", use.mark(subject), message, f"did you mean {{{near}}}?")
        elif subject.is_graph and not names.open:
            hint = f"set it under 'context:', if it comes from outside; or write {{{root}|default:...}}"
            yield subject.finding("W009", use.mark(subject), message, hint)


def paths_that_lead_nowhere(subject: Subject) -> Iterator[LintFinding]:
    """Report E014: a known variable has no such part."""
    for use in _uses(subject):
        root, *rest = use.placeholder.path
        if rest and not use.has_default and not _is_there(root, rest, subject):
            fields = _FIELDS.get(root, ())
            near = get_close_matches(rest[0], fields, n=1)
            hint = f"did you mean {{{root}.{near[0]}}}?" if near else f"it has {', '.join(fields)}" if fields else None
            message = f"there is no {quoted('.'.join(rest))} in {quoted(root)}"
            yield subject.finding("E014", use.mark(subject), message, hint)


def text_that_is_no_placeholder(subject: Subject) -> Iterator[LintFinding]:
    """Report W015: spaces inside the braces, or a filter without its argument: the text stays as it is."""
    known = _names(subject).known
    for _, node in _texts(subject):
        for match in (*_SPACED.finditer(node.value), *_NO_FILTER.finditer(node.value)):
            inside = match.group()
            if pieces_at(inside, 0) in (None, ((inside,), len(inside))) and match[1] in known:
                message = f"{quoted(inside)} is not a placeholder, and stays as it is"
                hint = f"write {{{match[1]}}} or {{{match[1]}|default:...}}, without spaces inside the braces"
                yield subject.finding("W015", subject.place_in(node, inside, match.start()), message, hint)


def misspelt_filters(subject: Subject) -> Iterator[LintFinding]:
    """Report W015: a misspelt filter is read as the name of a variable."""
    names = _names(subject)
    for use in _uses(subject):
        for segment in use.segments:
            near = get_close_matches(segment, _FILTERS, n=1, cutoff=0.75)
            if segment not in _FILTERS and ":" not in segment and segment not in names.known and near:
                message = f"there is no filter {quoted(segment)}: it is taken as the name of a variable"
                yield subject.finding("W015", use.mark(subject), message, f"did you mean {quoted(near[0])}?")


def shell_variables_with_our_names(subject: Subject) -> Iterator[LintFinding]:
    """Report W006: `$job_id` is a variable of the shell, which is empty."""
    known = _names(subject).known
    for action, command in _commands(subject):
        for match in _SHELL_VARIABLE.finditer(command.value):
            name = match[1] or match[2]
            if name in known and not _is_set_in(name, command.value, action.spec.config.get("env")):
                message = f"{match.group()} is a variable of the shell, which has no value for it"
                hint = f"write {{{name}}} for the machine's variable, or set it under 'env:'"
                yield subject.finding("W006", subject.place_in(command, match.group(), match.start()), message, hint)


def _names(subject: Subject) -> Names:
    definition = subject.definition
    known = {*RESERVED, *_JOB, *definition.context}
    for event in definition.events.values():
        known |= event.context_map.keys()
    for action in subject.actions:
        known |= set(_set_by(action))
    opened = definition.template or any(map(_is_open, subject.actions)) or _speaks_of_a_job(subject)
    return Names(frozenset(known), opened)


def _set_by(action: Action) -> Iterator[str]:
    if action.kind is None:
        return
    yield from action.kind.sets
    for key, default in action.kind.stores.items():
        yield str(action.spec.config.get(key) or default)


def _is_open(action: Action) -> bool:
    """Return whether the action may put any variable into the context."""
    config = action.spec.config
    pops_a_job = action.spec.type == "pop_from_list" and config.get("store_as") == "current_job"
    captures = config.get("capture") is not None and not config.get("store_as")
    return action.custom or action.spec.type in _CLAIMING or pops_a_job or captures


def _speaks_of_a_job(subject: Subject) -> bool:
    return any(use.placeholder.path[0] in (*_JOB, "current_job") for use in _uses(subject))


def _misspelt(use: Use, names: Names) -> str | None:
    """Return the known name that is meant; only `event_data` and `current_job` if there may be other names."""
    root, *rest = use.placeholder.path
    candidates = [name for name in _FIELDS if rest] if names.open else sorted(names.known)
    near = get_close_matches(root, candidates, n=1, cutoff=0.8)
    return ".".join([near[0], *rest]) if near else None


def _is_there(root: str, rest: list[str], subject: Subject) -> bool:
    if root == "config":
        return resolve(".".join(rest), subject.definition.config) is not MISSING
    if root not in _FIELDS or (root == "current_job" and any(action.custom for action in subject.actions)):
        return True
    return rest[0] in _FIELDS[root]


def _uses(subject: Subject) -> Iterator[Use]:
    for action, node in _texts(subject):
        text = node.value
        start = text.find("{")
        while start >= 0:
            found = None if _is_the_shells(action, node, start) else pieces_at(text, start)
            for piece in found[0] if found is not None else ():
                if isinstance(piece, Placeholder):
                    yield Use(action, node, piece, start)
            start = text.find("{", found[1] if found is not None else start + 1)


def _texts(subject: Subject) -> Iterator[tuple[Action, Node]]:
    """Yield every text of every action in which placeholders are filled in."""
    for action in subject.actions:
        if action.kind is None or action.kind.interpolated:
            yield from ((action, node) for node in _inner(action.node) if isinstance(node.value, str))


def _inner(node: Node) -> Iterator[Node]:
    if node.pairs is None and node.items is None:
        yield node
    for child in node.children:
        yield from _inner(child)


def _is_the_shells(action: Action, node: Node, start: int) -> bool:
    """Return whether this is `${name}` in a command, which belongs to the shell."""
    return start > 0 and node.value[start - 1] == "$" and node is action.value_of("command")


def _commands(subject: Subject) -> Iterator[tuple[Action, Node]]:
    """Yield the commands that a shell reads; `shell:` may name another program."""
    for action in subject.actions:
        command = action.value_of("command") if action.spec.type == "bash" and not action.custom else None
        program = str(action.spec.config.get("shell") or "sh").split()[0]
        if command is not None and isinstance(command.value, str) and program.endswith("sh"):
            yield action, command


def _is_set_in(name: str, command: str, env: Any) -> bool:
    """Return whether the command or its environment sets such a variable for the shell."""
    given = isinstance(env, Mapping) and name in env
    return given or re.search(rf"\b{name}=|{_SETTING}[^;\n]*\b{name}\b", command) is not None
