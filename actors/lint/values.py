"""Check the values of built-in actions' keys, if they stand in the file and not in a variable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..definition.fields import DURATION_HINT
from ..definition.model import seconds_in
from ..definition.problems import did_you_mean, listing, quoted
from ..definition.yaml_nodes import Node
from .finding import LintFinding
from .subject import Action, Subject

DURATIONS: Mapping[str, tuple[str, ...]] = {
    "sleep": ("duration",),
    "bash": ("timeout",),
    "wait_for_jobs": ("timeout",),
    "check_database_queue": ("lease", "backoff"),
    "claim_job": ("lease", "backoff"),
    "enqueue_job": ("delay", "time_limit", "backoff"),
    "retry_job": ("delay",),
}
NUMBERS: Mapping[str, tuple[str, ...]] = {
    "check_database_queue": ("max_attempts",),
    "claim_job": ("max_attempts",),
    "enqueue_job": ("priority", "max_attempts"),
    "get_pending_jobs": ("limit",),
}
CHOICES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("log", "level"): ("info", "success", "warning", "warn", "error", "debug", "critical"),
    ("activity_log", "level"): ("info", "success", "warning", "warn", "error", "debug", "critical"),
    ("start_fsm", "isolation"): ("thread", "process"),
    ("bash", "capture"): ("json",),
}
MAPPINGS: Mapping[str, tuple[str, ...]] = {"bash": ("env", "error_mappings")}
_LONG_SLEEP_S = 300


def wrong_durations(subject: Subject) -> Iterator[LintFinding]:
    """Report E015: a value is not a duration."""
    for action, key, node in _values(subject, DURATIONS):
        if seconds_in(node.value) is None and not _is_off(action, node):
            yield subject.finding("E015", node.mark, f"{key} must be a duration, not {node.kind}", DURATION_HINT)


def wrong_numbers(subject: Subject) -> Iterator[LintFinding]:
    """Report E015: a value is not a whole number."""
    for _, key, node in _values(subject, NUMBERS):
        if isinstance(node.value, bool) or not str(node.value).lstrip("-").isdecimal():
            yield subject.finding("E015", node.mark, f"{key} must be a whole number, not {node.kind}")


def wrong_choices(subject: Subject) -> Iterator[LintFinding]:
    """Report E015: a value is not one of the allowed words."""
    for (kind, key), words in CHOICES.items():
        for _, _, node in _values(subject, {kind: (key,)}):
            if str(node.value).lower() not in words:
                message = f"{key} must be {listing(words)}, not {node.kind}"
                yield subject.finding("E015", node.mark, message, did_you_mean(str(node.value), words))


def wrong_mappings(subject: Subject) -> Iterator[LintFinding]:
    """Report E015: a value is not a mapping."""
    for _, key, node in _values(subject, MAPPINGS):
        if node.pairs is None:
            message = f"{key} must be a mapping, not {node.kind}"
            yield subject.finding("E015", node.mark, message, "write 'key: value' lines below it")


def wrong_exit_codes(subject: Subject) -> Iterator[LintFinding]:
    """Report E015 and E011: exit codes are 1 to 255, and events are names."""
    for _, _, node in _values(subject, {"bash": ("error_mappings",)}):
        for code, event in node.pairs or ():
            if not (code.text.isdecimal() and 1 <= int(code.text) <= 255):
                message = f"{quoted(code.text)} is not the exit code of a failure"
                yield subject.finding("E015", code.mark, message, "write a number from 1 to 255")
            if not isinstance(event.value, str):
                hint = f'quote it: "{event.text}"' if event.text else "write the name of an event"
                yield subject.finding("E011", event.mark, f"an event must be text, not {event.kind}", hint)


def long_sleeps(subject: Subject) -> Iterator[LintFinding]:
    """Report W005: an action sleeps for more than five minutes."""
    for _, _, node in _values(subject, {"sleep": ("duration",)}):
        seconds = seconds_in(node.value)
        if seconds is not None and seconds > _LONG_SLEEP_S:
            message = f"this sleeps for more than {_LONG_SLEEP_S // 60} minutes, and occupies a worker thread"
            hint = f"wait with a transition instead: event: timeout({node.text})"
            yield subject.finding("W005", node.mark, message, hint)


def _values(subject: Subject, keys: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[Action, str, Node]]:
    """Yield the values of some keys of built-in actions, except for placeholders and empty values."""
    for action in subject.actions:
        for key in keys.get(action.spec.type, ()) if not action.custom else ():
            node = action.value_of(key)
            if node is not None and node.value is not None and "{" not in node.text:
                yield action, key, node


def _is_off(action: Action, node: Node) -> bool:
    """Return whether the value switches the limit off: `timeout: false`, or empty."""
    return action.spec.type in ("bash", "wait_for_jobs") and not node.value
