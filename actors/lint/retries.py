"""Check `retry:`: that a second try can help, and that the failures it names can happen."""

from __future__ import annotations

from collections.abc import Iterator

from ..actions.bash_action import BashAction
from ..definition.problems import quoted
from .finding import LintFinding
from .subject import Action, Subject


def retries_of_what_does_not_fail(subject: Subject) -> Iterator[LintFinding]:
    """Report W023: the action touches nothing outside the machine, so that it fails in the same way each time."""
    for action in _retried(subject):
        if action.kind is not None and action.kind.instant and not action.custom:
            message = f"{quoted(action.spec.type)} fails in the same way each time: a retry changes nothing"
            yield subject.finding("W023", action.mark_of("retry"), message, "leave 'retry' out")


def exit_codes_of_what_has_none(subject: Subject) -> Iterator[LintFinding]:
    """Report W023: `on:` names exit codes, and the action runs no command."""
    for action in _retried(subject):
        codes = sorted(code for code in action.spec.retry.on if isinstance(code, int)) if action.spec.retry else []
        if codes and action.kind is not None and not issubclass(action.kind, BashAction):
            message = f"{quoted(action.spec.type)} has no exit code; it is not tried again for {codes[0]}"
            hint = "name the class of the exception that it raises, such as ConnectionError"
            yield subject.finding("W023", action.mark_of("retry"), message, hint)


def _retried(subject: Subject) -> list[Action]:
    return [action for action in subject.actions if action.spec.retry is not None]
