"""The plain text shows below each state the targets of its events."""

from __future__ import annotations

from statemachine_engine.actors.definition.loader import load_text
from statemachine_engine.actors.drawing.diagrams import DiagramSet
from statemachine_engine.actors.drawing.outline import outline
from tests.support.diagram_sets import example_diagram_sets

MACHINE = """
name: Worker
initial_state: waiting
states: {waiting: {}, working: {group: BUSY}, failed: {group: BUSY}, stopped: {}}
final: {failed: failure}
transitions:
  - {from: waiting, to: working, event: new_job}
  - {from: working, to: waiting, event: done}
  - {from: working, to: failed, event: error}
  - {from: "*", to: stopped, event: stop}
"""
TEXT = """\
Worker

[waiting]  (begins here)
    new_job x3 --> working

[stopped]  (ends here: success)

[any state]
    stop x0 --> stopped

=== BUSY ===

[working]
    done x0  --> waiting
    error x0 --> failed

[failed]  (ends here: failure)
"""


def test_each_state_is_followed_by_the_targets_of_its_events() -> None:
    moves = {("waiting", "working", "new_job"): 3}

    assert outline(DiagramSet(load_text(MACHINE), moves).whole()) == TEXT


def test_the_examples_are_ascii() -> None:
    assert all(outline(diagrams.whole()).isascii() for diagrams in example_diagram_sets())
