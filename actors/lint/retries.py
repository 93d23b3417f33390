"""Check `retry:`: that a second try can help, and that the failures it names can happen."""

from __future__ import annotations

from collections.abc import Iterator

from ..actions.base import BaseAction
from ..definition.problems import quoted
from .finding import LintFinding
from .subject import Action, Subject


def retries_of_what_does_not_fail(subject: Subject) -> Iterator[LintFinding]:
    """Report W023: the action touches nothing outside the machine, so that it fails in the same way each time."""
    for action in _retried(subject):
        if action.kind is not None and action.kind.instant and not action.custom:
            message = f"{quoted(action.spec.type)} fails in the same way each time: a retry changes nothing"
            yield subject.finding("W023", action.mark_of("retry"), message, "leave 'retry' out")


def numbers_of_what_has_none(subject: Subject) -> Iterator[LintFinding]:
    """Report W023: `on:` names a number that the action cannot fail with: an exit code, and it runs no command."""
    for action in _retried(subject):
        codes = sorted(code for code in action.spec.retry.on if isinstance(code, int)) if action.spec.retry else []
        wrong = [code for code in codes if action.kind is not None and code not in action.kind.failure_codes]
        if wrong and action.kind is not None:
            message = f"{quoted(action.spec.type)} {_without(action.kind)}; it is not tried again for {wrong[0]}"
            hint = "name the class of the exception that it raises, such as ConnectionError"
            yield subject.finding("W023", action.mark_of("retry"), message, hint)


def _without(kind: type[BaseAction]) -> str:
    codes = kind.failure_codes
    return f"fails with numbers from {codes[0]} to {codes[-1]}" if codes else "has no exit code"


def _retried(subject: Subject) -> list[Action]:
    return [action for action in subject.actions if action.spec.retry is not None]
