"""Check how a machine ends, and states that it cannot leave."""

from __future__ import annotations

from collections.abc import Iterator

from ..definition.model import State, Transition
from ..definition.problems import listing, quoted
from ..definition.state_section import STOPPED
from ..definition.yaml_nodes import Node
from .finding import LintFinding
from .graph import backwards, connected
from .outcomes import OutcomeKind
from .subject import Subject

_FINAL_BY_NAME = ("completed", "shutdown")


def no_end_is_reached(subject: Subject) -> Iterator[LintFinding]:
    """Report E006: there are final states, and none can be reached."""
    ends = _ends(subject)
    if subject.is_graph and ends and not subject.reachable & {*ends, STOPPED}:
        node = subject.root.get("final") or subject.root.get("initial_state")
        message = f"no final state can be reached from {quoted(subject.definition.initial_state)}: {listing(ends)}"
        mark = node.mark if node is not None else None
        yield subject.finding("E006", mark, message, "add a transition to one of them", state=ends[0])


def states_without_a_way_out(subject: Subject) -> Iterator[LintFinding]:
    """Report E007: dead ends. A file that lists neither states nor final states is a sketch, and may end anywhere."""
    listed = any(subject.root.get(key) is not None for key in ("states", "final"))
    if not (listed and subject.is_graph):
        return
    for state in _living(subject):
        if not subject.exits(state.name):
            message = f"nothing leads out of state {quoted(state.name)}"
            hint = "list it under 'final:' if the machine ends here, or add a transition out of it"
            yield subject.finding("E007", subject.place_of_state(state.name), message, hint, state=state.name)


def states_left_by_errors_only(subject: Subject) -> Iterator[LintFinding]:
    """Report W008: only errors, or events that end the machine from any state, leave the state."""
    for state in _living(subject):
        exits = subject.exits(state.name)
        bad = _bad_events(subject, state)
        repeats = any(spec.every_s is not None for spec in state.actions)
        if exits and not repeats and all(t.event in bad or _ends_from_anywhere(subject, t) for t in exits):
            message = f"only {listing(quoted(t.event) for t in exits)} leads out of state {quoted(state.name)}"
            hint = "list it under 'final:' if the machine ends here, or add a transition for the ordinary case"
            yield subject.finding("W008", subject.place_of_state(state.name), message, hint, state=state.name)


def states_that_never_end(subject: Subject) -> Iterator[LintFinding]:
    """Report W022: the machine has final states, and reaches a state from which none can be reached."""
    if not subject.reachable & set(_ends(subject)):
        return
    alive = _leading_to_an_end(subject)
    stuck = [state.name for state in _living(subject) if state.name not in alive and subject.exits(state.name)]
    if stuck:
        message = f"no final state can be reached any more from {listing(map(quoted, stuck))}"
        hint = "add a transition that leads on, if the machine is meant to end"
        yield subject.finding("W022", subject.place_of_state(stuck[0]), message, hint, state=stuck[0])


def states_final_by_their_name(subject: Subject) -> Iterator[LintFinding]:
    """Report W020: a state is final by its name (`completed`, `shutdown`), which the oldest engines did not know."""
    declared = (
        key.text for key, body in subject.root.pairs_under("states") if body.get("final") or body.get("outcome")
    )
    named = {*_texts(subject.root.get("final")), *declared}
    for state in subject.states:
        if state.name in _FINAL_BY_NAME and state.outcome is not None and state.name not in named:
            message = f"state {quoted(state.name)} ends the machine because of its name alone"
            hint = f"write 'final: [{state.name}]', so that readers see it"
            yield subject.finding("W020", subject.place_of_state(state.name), message, hint, state=state.name)


def _ends(subject: Subject) -> list[str]:
    """Return the final states of the file, without `stopped`, which every machine has."""
    return [state.name for state in subject.states if state.outcome is not None and state.name != STOPPED]


def _living(subject: Subject) -> list[State]:
    """Return the states that are reachable and not final."""
    return [state for state in subject.states if state.outcome is None and state.name in subject.reachable]


def _bad_events(subject: Subject, state: State) -> set[str]:
    """Return the events that report a failure in a state; that of an exit code may be an ordinary answer."""
    outcomes = [outcome for group in subject.entries(state.name) for _, outcome in subject.outcomes(group)]
    failed = {o.event for o in outcomes if o.kind is OutcomeKind.FAILED and o.key != "error_mappings"}
    return {"error", *failed} - {o.event for o in outcomes if o.kind is not OutcomeKind.FAILED}


def _ends_from_anywhere(subject: Subject, transition: Transition) -> bool:
    return transition.source == "*" and subject.definition.is_final(transition.target)


def _leading_to_an_end(subject: Subject) -> set[str]:
    """Return the states from which a final state can be reached."""
    ends = {state.name for state in subject.states if state.outcome is not None}
    return ends | connected(ends, backwards(subject.steps))


def _texts(node: Node | None) -> Iterator[str]:
    """Yield every text in lists and mappings, however nested."""
    if node is not None:
        yield from (node.text, *(key.text for key, _ in node.pairs or ()))
        for child in node.children:
            yield from _texts(child)
