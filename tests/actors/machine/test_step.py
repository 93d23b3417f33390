"""A step says everything that a move asks of the runtime."""

from __future__ import annotations

import pytest

from statemachine_engine.actors.definition.loader import load_text
from statemachine_engine.actors.definition.model import Definition
from statemachine_engine.actors.machine.step import Step, enter, interrupts, step

MACHINE = """
initial_state: waiting
states:
  waiting: {actions: [{type: look}]}
  working: {actions: [{type: work}]}
  broken: {final: failure, actions: [{type: mourn}]}
transitions:
  - {from: waiting, to: working, event: new_job, actions: [{type: greet}]}
  - {from: working, to: working, event: again}
  - {from: working, event: progress, internal: true, actions: [{type: note}]}
  - {from: working, to: waiting, event: urgent, interrupt: true}
  - {from: working, to: broken, event: timeout(5)}
  - {from: "*", to: waiting, event: reset}
  - {from: "*", event: ping, internal: true, actions: [{type: pong}]}
"""


@pytest.fixture
def machine() -> Definition:
    return load_text(MACHINE)


def moved(machine: Definition, state: str, event: str) -> Step:
    taken = step(machine, state, event)
    assert taken is not None
    return taken


def types(taken: Step) -> list[str]:
    return [action.type for action in taken.actions]


def test_a_transitions_actions_run_before_those_of_the_state_entered(machine: Definition) -> None:
    taken = moved(machine, "waiting", "new_job")
    assert (taken.source, taken.target, taken.reentered) == ("waiting", "working", False)
    assert types(taken) == ["greet", "work"]
    assert [timer.timeout_s for timer in taken.timeouts] == [5.0]


def test_an_event_that_nothing_takes_is_no_step(machine: Definition) -> None:
    assert step(machine, "waiting", "again") is None
    assert step(machine, "nowhere", "again") is None


def test_a_self_transition_enters_the_state_again(machine: Definition) -> None:
    taken = moved(machine, "working", "again")
    assert (taken.target, taken.reentered, types(taken), len(taken.timeouts)) == ("working", True, ["work"], 1)


def test_an_internal_transition_runs_its_own_actions_only(machine: Definition) -> None:
    taken = moved(machine, "working", "progress")
    assert (taken.target, taken.reentered, taken.internal) == ("working", False, True)
    assert (types(taken), taken.timeouts) == (["note"], ())


def test_an_internal_transition_from_anywhere_stays_where_it_is_taken(machine: Definition) -> None:
    for state in ("waiting", "working"):
        taken = moved(machine, state, "ping")
        assert (taken.source, taken.target, types(taken)) == (state, state, ["pong"])


def test_entering_a_final_state_carries_its_outcome_and_actions(machine: Definition) -> None:
    taken = moved(machine, "working", "timeout(5)")
    assert (taken.outcome, types(taken), taken.timeouts) == ("failure", ["mourn"], ())


def test_the_first_entry_has_no_transition(machine: Definition) -> None:
    entry = enter(machine)
    assert (entry.transition, entry.target, types(entry), entry.internal) == (None, "waiting", ["look"], False)


@pytest.mark.parametrize(
    ("event", "expected"),
    [("timeout(5)", True), ("reset", True), ("urgent", True), ("again", False), ("ping", False), ("unknown", False)],
)
def test_timeouts_anywhere_and_marked_transitions_interrupt(machine: Definition, event: str, expected: bool) -> None:
    assert interrupts(machine, "working", event) is expected
