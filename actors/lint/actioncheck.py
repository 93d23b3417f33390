"""Check single actions: that they exist, have the keys that they need, and can run."""

from __future__ import annotations

from collections.abc import Iterator

from ..actions.errors import ActionLoadError, UnknownAction
from ..definition.problems import quoted
from .finding import LintFinding
from .outcomes import OutcomeKind
from .subject import Action, ActionList, Subject


def actions_that_are_not_there(subject: Subject) -> Iterator[LintFinding]:
    """Report E008: there is no built-in action and no file of that name, or the file cannot be imported."""
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
    """Report E010: a required key is missing or empty."""
    for action in subject.actions:
        for key in action.kind.required_keys if action.kind is not None else ():
            value = action.value_of(key)
            missing = value is None or (value.value in (None, "") and key != "value")
            if missing and not (key == "command" and action.spec.config.get("allow_job_command")):
                message = f"action {quoted(action.spec.type)} needs {quoted(key)}"
                meaning = action.kind.keys.get(key) if action.kind is not None else None
                yield subject.finding("E010", action.node.mark, message, f"{key}: {meaning}" if meaning else None)


def actions_that_never_run(subject: Subject) -> Iterator[LintFinding]:
    """Report W012: an action before them always leaves the state, on every way into the state."""
    lists = [(group, _that_run(group, subject)) for group in subject.lists]
    run = {action for _, running in lists for action in running}
    for group, running in lists:
        if len(running) < len(group.actions) and group.actions[len(running)] not in run:
            action = group.actions[len(running)]
            blocker = quoted(running[-1].spec.type)
            message = f"{quoted(action.spec.type)} never runs: {blocker} before it always leaves the state"
            hint = "put it before that one, or into the next state"
            yield subject.finding("W012", action.node.mark, message, hint, state=group.state)


def actions_that_the_start_leads_past(subject: Subject) -> Iterator[LintFinding]:
    """Report W012: the event `start` leaves the initial state before its actions run."""
    initial = subject.definition.states[subject.definition.initial_state]
    taken = subject.definition.find(initial.name, "start")
    back = any(t.target == initial.name for t in subject.definition.transitions)
    if initial.actions and taken is not None and not taken.internal and not back:
        message = f"the actions of {quoted(initial.name)} never run: 'start' leaves the state before"
        hint = "rename the event: every machine receives 'start' once by itself"
        yield subject.finding("W012", initial.actions[0].mark, message, hint, state=initial.name, event="start")


def _that_run(group: ActionList, subject: Subject) -> list[Action]:
    """Return the actions up to the first that always leaves the state; a final state runs all of its actions."""
    if subject.definition.is_final(group.state):
        return list(group.actions)
    leading = (index for index, action in enumerate(group.actions) if _always_leads_away(action, group, subject))
    return list(group.actions[: next(leading, len(group.actions)) + 1])


def _always_leads_away(action: Action, group: ActionList, subject: Subject) -> bool:
    """Return whether every event that a success causes takes a transition. A failure ends the list in any case."""
    ends = action.outcomes.of(OutcomeKind.GOOD, OutcomeKind.EMPTY)
    if action.outcomes.open or action.outcomes.may_be_silent or not ends:
        return False
    taken = [subject.takes(group.state, outcome.event) for outcome in ends]
    waits = action.is_watch and any(t is not None and t.target == group.state for t in taken)
    return None not in taken and not waits
