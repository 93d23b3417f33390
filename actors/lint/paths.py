"""Check how states are reached."""

from __future__ import annotations

from collections.abc import Iterator

from ..definition.model import ANY_STATE
from ..definition.problems import did_you_mean, quoted
from ..definition.state_section import STOPPED
from .finding import LintFinding
from .subject import Subject


def states_out_of_reach(subject: Subject) -> Iterator[LintFinding]:
    """Report W001: a state cannot be reached from the initial state."""
    if not subject.is_graph or not _an_end_is_reached(subject):
        return
    for state in subject.states:
        if state.name not in subject.reachable and state.name != STOPPED:
            message = f"state {quoted(state.name)} cannot be reached from {quoted(subject.definition.initial_state)}"
            hint = did_you_mean(state.name, subject.reachable) or "add a transition that leads to it, or leave it out"
            yield subject.finding("W001", subject.place_of_state(state.name), message, hint, state=state.name)


def states_reached_from_anywhere(subject: Subject) -> Iterator[LintFinding]:
    """Report W002: a state is entered from "*" by an event that one state alone causes."""
    entered = {t.target for t in subject.definition.transitions if t.source != ANY_STATE}
    entered.add(subject.definition.initial_state)
    for transition in subject.definition.transitions:
        if transition.source != ANY_STATE or transition.target in entered or transition.internal:
            continue
        causes = _states_that_cause(transition.event, subject)
        if len(causes) == 1 and not subject.definition.is_final(transition.target):
            (cause,) = causes
            message = f"{quoted(transition.event)} leads to {quoted(transition.target)} from any state, and only "
            hint = f"write 'from: {cause}', so that other states ignore the event"
            yield subject.finding(
                "W002", transition.mark, f"{message}{quoted(cause)} causes it", hint,
                state=transition.target, event=transition.event,
            )  # fmt: skip


def _an_end_is_reached(subject: Subject) -> bool:
    """Return whether a final state is reached. If none is, E006 reports it, and W001 would repeat it."""
    ends = {state.name for state in subject.states if state.outcome is not None}
    return not ends - {STOPPED} or bool(ends & subject.reachable)


def _states_that_cause(event: str, subject: Subject) -> set[str]:
    """Return the states whose actions cause an event; none for `error`, which any state may cause."""
    if event == "error":
        return set()
    lists = subject.lists
    return {g.state for g in lists if any(outcome.event == event for _, outcome in subject.outcomes(g))}
