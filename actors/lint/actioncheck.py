"""Checks of single actions: whether they exist, have what they need, and are ever run."""

from __future__ import annotations

from collections.abc import Iterator

from ..actions.errors import ActionLoadError, UnknownAction
from ..definition.problems import quoted
from .finding import LintFinding
from .outcomes import Kind
from .subject import Action, ActionList, Subject


def actions_that_are_not_there(subject: Subject) -> Iterator[LintFinding]:
    """E008: no built-in and no file of that name, or a file that cannot be imported."""
    for action in subject.actions:
        try:
            subject.registry.find(action.spec.type)
        except UnknownAction as error:
            near = f"did you mean {' or '.join(map(quoted, error.near))}? " if error.near else ""
            hint = f"{near}--actions-dir DIR says where {action.spec.type}_action.py is"
            message = f"there is no action {quoted(action.spec.type)}"
            yield subject.finding("E008", action.mark_of("type"), message, hint)
        except ActionLoadError as error:
            place = f"{error.file}:{error.line}" if error.line else str(error.file)
            message = f"action {quoted(action.spec.type)} cannot be loaded: {error.reason}"
            yield subject.finding("E008", action.mark_of("type"), message, f"see {place}")


def actions_without_what_they_need(subject: Subject) -> Iterator[LintFinding]:
    """E010: a key that has to be there is missing or empty."""
    for action in subject.actions:
        for key in action.kind.required_keys if action.kind is not None else ():
            value = action.value_of(key)
            missing = value is None or (value.value in (None, "") and key != "value")
            if missing and not (key == "command" and action.spec.config.get("allow_job_command")):
                message = f"action {quoted(action.spec.type)} needs {quoted(key)}"
                meaning = action.kind.keys.get(key) if action.kind is not None else None
                yield subject.finding("E010", action.node.mark, message, f"{key}: {meaning}" if meaning else None)


def actions_that_never_run(subject: Subject) -> Iterator[LintFinding]:
    """W012: an action before them always leads away, on every way into the state."""
    lists = [(group, _that_run(group, subject)) for group in subject.lists]
    run = {action for _, running in lists for action in running}
    for group, running in lists:
        if len(running) < len(group.actions) and group.actions[len(running)] not in run:
            action = group.actions[len(running)]
            message = (
                f"{quoted(action.spec.type)} never runs: {quoted(running[-1].spec.type)} before it always leads away"
            )
            hint = "put it before that one, or into the next state"
            yield subject.finding("W012", action.node.mark, message, hint, state=group.state)


def actions_that_the_start_leads_past(subject: Subject) -> Iterator[LintFinding]:
    """W012: every machine gets `start` once, before the initial state's actions."""
    initial = subject.definition.states[subject.definition.initial_state]
    taken = subject.definition.find(initial.name, "start")
    back = any(t.target == initial.name for t in subject.definition.transitions)
    if initial.actions and taken is not None and not taken.internal and not back:
        message = f"the actions of {quoted(initial.name)} never run: 'start' leads away before"
        hint = "name the event otherwise: every machine gets 'start' by itself"
        yield subject.finding("W012", initial.actions[0].mark, message, hint, state=initial.name, event="start")


CHECKS = (
    actions_that_are_not_there,
    actions_without_what_they_need,
    actions_that_never_run,
    actions_that_the_start_leads_past,
)


def _that_run(group: ActionList, subject: Subject) -> list[Action]:
    """The actions of a list up to the first that always leads away; an end runs all of its own."""
    if subject.definition.is_final(group.state):
        return list(group.actions)
    leading = (index for index, action in enumerate(group.actions) if _always_leads_away(action, group, subject))
    return list(group.actions[: next(leading, len(group.actions)) + 1])


def _always_leads_away(action: Action, group: ActionList, subject: Subject) -> bool:
    """Whatever it ends with takes a transition; where it fails, the list ends anyhow."""
    ends = action.outcomes.of(Kind.GOOD, Kind.EMPTY)
    if action.outcomes.open or action.outcomes.may_be_silent or not ends:
        return False
    taken = [subject.takes(group.state, outcome.event) for outcome in ends]
    waits = action.is_watch and any(t is not None and t.target == group.state for t in taken)
    return None not in taken and not waits
