"""Check single transitions: repeated, never taken, or without effect."""

from __future__ import annotations

from collections.abc import Iterator

from ..definition.model import ANY_STATE, Transition, seconds_in
from ..definition.problems import quoted
from .finding import LintFinding
from .subject import Action, ActionList, Subject

_MANY_WILDCARDS = 5


def doubled_transitions(subject: Subject) -> Iterator[LintFinding]:
    """Report E005: a state has two transitions for one event; the first in the file is taken."""
    first: dict[tuple[str, str], Transition] = {}
    for transition in subject.definition.transitions:
        known = first.setdefault((transition.source, transition.event), transition)
        if known is not transition and known.mark is not None:
            where = f"{quoted(transition.event)} of state {quoted(transition.source)}"
            hint = f"the one in line {known.mark.line} is taken; keep one of the two"
            yield _finding(subject, "E005", transition, f"{where} has a transition already", hint)


def many_wildcards(subject: Subject) -> Iterator[LintFinding]:
    """Report W003: more than five transitions lead from "*"."""
    wild = [t for t in subject.definition.transitions if t.source == ANY_STATE]
    if len(wild) > _MANY_WILDCARDS:
        message = f"{len(wild)} transitions lead from '*', which is hard to read"
        hint = f"name the states where possible: 'from: [a, b]'; up to {_MANY_WILDCARDS} are fine"
        yield subject.finding("W003", wild[_MANY_WILDCARDS].mark, message, hint)


def loops_without_effect(subject: Subject) -> Iterator[LintFinding]:
    """Report W010: a state is left for itself, and no action runs."""
    for transition in subject.definition.transitions:
        if transition.source != transition.target or transition.internal or transition.actions:
            continue
        state = subject.definition.states[transition.target]
        if not (state.actions or state.timeouts or state.outcome):
            message = f"state {quoted(state.name)} is left for itself, and has no actions that would run again"
            hint = "add 'internal: true' if the event is to be ignored"
            yield _finding(subject, "W010", transition, message, hint)


def transitions_out_of_an_end(subject: Subject) -> Iterator[LintFinding]:
    """Report W013: a transition leaves a final state, in which the machine has ended."""
    for transition in subject.definition.transitions:
        if transition.source != ANY_STATE and subject.definition.is_final(transition.source):
            message = f"it is never taken: the machine ends in state {quoted(transition.source)}"
            hint = "take the state out of 'final:', or leave the transition out"
            yield _finding(subject, "W013", transition, message, hint)


def wildcards_without_a_state(subject: Subject) -> Iterator[LintFinding]:
    """Report W013: every state has its own transition for the event, so that the one from "*" is never taken."""
    own = {(t.source, t.event) for t in subject.definition.transitions}
    living = [state.name for state in subject.states if state.outcome is None]
    for transition in subject.definition.transitions:
        if transition.source == ANY_STATE and living and all((name, transition.event) in own for name in living):
            message = f"it is never taken: every state has its own transition for {quoted(transition.event)}"
            yield _finding(subject, "W013", transition, message, "leave one or the other out")


def late_timeouts(subject: Subject) -> Iterator[LintFinding]:
    """Report W013: a shorter timeout leaves the state first."""
    for state in subject.states:
        own = [t for t in state.timeouts if t.source == state.name]
        ahead = [t for t in own if not t.internal]
        for transition in own:
            due = _seconds(transition), own.index(transition)  # of two alike, the first in the file fires
            faster = [t for t in ahead if (_seconds(t), own.index(t)) < due]
            if faster:
                message = f"it is never taken: {faster[0].event} leaves state {quoted(state.name)} before"
                hint = "keep the shorter one, or make that 'internal: true'"
                yield _finding(subject, "W013", transition, message, hint)


def wildcards_that_older_engines_prefer(subject: Subject) -> Iterator[LintFinding]:
    """Report W014: a state's own transition stands after one from "*", which engines before 2.0 took instead."""
    wild: dict[str, Transition] = {}
    for transition in subject.definition.transitions:
        if transition.source == ANY_STATE:
            wild.setdefault(transition.event, transition)
        elif (before := wild.get(transition.event)) is not None and before.target != transition.target:
            message = f"it goes before the one from '*' in line {before.mark.line if before.mark else 1}"
            hint = "write it above that one: engines before 2.0 take the first in the file"
            yield _finding(subject, "W014", transition, message, hint)


def restarted_timeouts(subject: Subject) -> Iterator[LintFinding]:
    """Report W021: the state enters itself again before its timeout, which restarts each time."""
    for state in subject.states:
        pause = next(filter(None, (_pause(group, subject) for group in subject.entries(state.name))), None)
        for transition in state.timeouts if pause is not None else ():
            if pause is not None and _seconds(transition) > pause[1]:
                message = f"{transition.event} never fires: {quoted(pause[0])} enters {quoted(state.name)} again before"
                hint = f"give the transition for {quoted(pause[0])} 'internal: true', or count in another state"
                yield _finding(subject, "W021", transition, message, hint, state=state.name)


def _finding(
    subject: Subject, code: str, transition: Transition, message: str, hint: str, state: str | None = None
) -> LintFinding:
    where = state or transition.source
    return subject.finding(code, transition.mark, message, hint, state=where, event=transition.event)


def _seconds(transition: Transition) -> float:
    return transition.timeout_s or 0.0


def _pause(group: ActionList, subject: Subject) -> tuple[str, float] | None:
    """Return the event and the seconds after which a state's `sleep` enters the state again."""
    for action in group.actions:
        duration_s = _sleeps_s(action)
        for outcome in action.outcomes.all if duration_s is not None else ():
            taken = subject.takes(group.state, outcome.event) if outcome.key == "success" else None
            if taken is not None and duration_s is not None and taken.target == group.state and not taken.internal:
                return outcome.event, duration_s
    return None


def _sleeps_s(action: Action) -> float | None:
    sleeps = action.spec.type == "sleep" and not action.custom
    return seconds_in(action.spec.config.get("duration", 1)) if sleeps else None
