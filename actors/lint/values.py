"""Check the values of built-in actions' keys, if they stand in the file and not in a variable."""

from __future__ import annotations

from collections.abc import Iterator

from ..actions.base import DURATION, MAPPING, NUMBER
from ..definition.fields import DURATION_HINT
from ..definition.model import seconds_in
from ..definition.problems import did_you_mean, listing, quoted
from ..definition.yaml_nodes import Node
from .finding import LintFinding
from .subject import Action, Subject

_LONG_SLEEP_S = 300


def wrong_values(subject: Subject) -> Iterator[LintFinding]:
    """Report E015: a value is not of the kind that its key takes."""
    for action in subject.actions:
        for key, expected in (action.kind.value_kinds if action.kind else {}).items():
            node = _written(action, key)
            if node is None or _fits(node, expected) or (key == "timeout" and not node.value):  # an empty one: no limit
                continue
            wanted = expected if isinstance(expected, str) else listing(expected)
            yield subject.finding("E015", node.mark, f"{key} must be {wanted}, not {node.kind}", _hint(node, expected))


def wrong_exit_codes(subject: Subject) -> Iterator[LintFinding]:
    """Report E015 and E011: exit codes are 1 to 255, and events are names."""
    for node in _values(subject, "bash", "error_mappings"):
        for code, event in node.pairs or ():
            if not (code.text.isdecimal() and 1 <= int(code.text) <= 255):
                message = f"{quoted(code.text)} is not the exit code of a failure"
                yield subject.finding("E015", code.mark, message, "write a number from 1 to 255")
            if not isinstance(event.value, str):
                hint = f'quote it: "{event.text}"' if event.text else "write the name of an event"
                yield subject.finding("E011", event.mark, f"an event must be text, not {event.kind}", hint)


def long_sleeps(subject: Subject) -> Iterator[LintFinding]:
    """Report W005: an action sleeps for more than five minutes."""
    for node in _values(subject, "sleep", "duration"):
        seconds = seconds_in(node.value)
        if seconds is not None and seconds > _LONG_SLEEP_S:
            message = f"this sleeps for more than {_LONG_SLEEP_S // 60} minutes, and occupies a worker thread"
            hint = f"wait with a transition instead: event: timeout({node.text})"
            yield subject.finding("W005", node.mark, message, hint)


def _values(subject: Subject, kind: str, key: str) -> Iterator[Node]:
    """Yield the values of a key of a built-in action, except for placeholders and empty values."""
    nodes = (_written(action, key) for action in subject.actions if action.spec.type == kind)
    yield from (node for node in nodes if node is not None)


def _written(action: Action, key: str) -> Node | None:
    """Return the value that the file gives a built-in action's key; None for none and for a placeholder."""
    node = None if action.custom else action.value_of(key)
    return None if node is None or node.value is None or "{" in node.text else node


def _fits(node: Node, expected: str | tuple[str, ...]) -> bool:
    if expected == DURATION:
        return seconds_in(node.value) is not None
    if expected == NUMBER:
        return not isinstance(node.value, bool) and str(node.value).lstrip("-").isdecimal()
    return node.pairs is not None if expected == MAPPING else str(node.value).lower() in expected


def _hint(node: Node, expected: str | tuple[str, ...]) -> str | None:
    if isinstance(expected, tuple):
        return did_you_mean(str(node.value), expected)
    return {DURATION: DURATION_HINT, MAPPING: "write 'key: value' lines below it"}.get(expected)
