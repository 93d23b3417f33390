"""Check for loops without a pause, and for jobs that are completed before anything works on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..definition.model import Transition
from ..definition.problems import listing, quoted
from .finding import LintFinding
from .graph import backwards, connected
from .outcomes import OutcomeKind
from .subject import Action, ActionList, Subject

_TAKING = ("check_database_queue", "wait_for_jobs")
"""Watches that take what they find: they wait in between."""


def busy_loops(subject: Subject) -> Iterator[LintFinding]:
    """Report E020: states that lead into each other at once, without end."""
    ways = {state.name: _ways_at_once(state.name, subject) for state in subject.states}
    for loop in _loops(ways):
        in_order = [state for state in ways if state in loop]
        first = in_order[0]
        message = f"the machine runs in a circle without a pause: {listing(map(quoted, in_order))}"
        hint = "let an action wait (sleep, a watch), let timeout(N) lead on, or add a way out"
        transition = next(t for t in ways[first] if t.target in loop)
        yield subject.finding("E020", transition.mark, message, hint, state=first, event=transition.event)


def jobs_taken_unseen(subject: Subject) -> Iterator[LintFinding]:
    """Report E021: finding a job leads back to the state that takes the next one, which completes the first."""
    for group in subject.lists:
        for action in group.actions if group.transition is None else ():
            if action.spec.type != "check_database_queue" or action.custom:
                continue
            for outcome in action.outcomes.of(OutcomeKind.GOOD):
                taken = subject.takes(group.state, outcome.event)
                if taken is not None and taken.target == group.state and not taken.actions and not taken.internal:
                    back = f"leads back to {quoted(group.state)}"
                    message = f"{quoted(outcome.event)} {back}, where the next job is taken"
                    hint = "lead on to a state that works on the job: taking the next one completes it"
                    yield subject.finding(
                        "E021", taken.mark, message, hint, state=group.state, event=outcome.event
                    )  # fmt: skip


def _ways_at_once(state: str, subject: Subject) -> list[Transition]:
    """Return the transitions taken at once after entering a state, whatever its actions find; none if it may wait."""
    if state not in subject.reachable or subject.definition.is_final(state):
        return []
    for group in subject.entries(state):
        if group.transition is None:
            return _led_by(group, subject)
    return []


def _led_by(group: ActionList, subject: Subject) -> list[Transition]:
    for action in group.actions:
        if (
            action.custom
            or action.outcomes.open
            or action.spec.type in _TAKING
            or (action.kind and action.kind.takes_time)
        ):
            return []
        good = [subject.takes(group.state, outcome.event) for outcome in action.outcomes.of(OutcomeKind.GOOD)]
        taken = [transition for transition in good if transition is not None and not transition.internal]
        if taken:
            sure = len(taken) == len(good) and not action.outcomes.may_be_silent
            return taken + _otherwise(action, group, subject) if sure else []
    return []


def _otherwise(action: Action, group: ActionList, subject: Subject) -> list[Transition]:
    """Return the transitions of a watch that finds nothing, if it does not wait."""
    taken = [subject.takes(group.state, outcome.event) for outcome in action.outcomes.of(OutcomeKind.EMPTY)]
    return [t for t in taken if t is not None and t.target != group.state]


def _loops(ways: Mapping[str, list[Transition]]) -> Iterator[set[str]]:
    """Yield sets of states that lead into each other, and that no transition leaves at once."""
    forth = {state: {transition.target for transition in leading} for state, leading in ways.items()}
    back = backwards(forth)
    seen: set[str] = set()
    for state in forth:
        ahead = connected([state], forth) if state not in seen else set()
        if state in ahead and ahead <= connected([state], back):
            seen |= ahead
            yield ahead
