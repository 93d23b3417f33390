"""The Markdown page of a machine."""

from __future__ import annotations

import re

import pytest

from statemachine_engine.actors.definition.loader import load_text
from statemachine_engine.actors.drawing.diagrams import DiagramSet
from statemachine_engine.actors.drawing.markdown import code, markdown, plain
from tests.support.diagram_sets import odd_diagram_sets
from tests.support.oddconfigs import PHRASES

MACHINE = """
name: Worker
description: Does *jobs*
metadata: {machine_name: worker, version: 1.2, job_type: resize}
initial_state: waiting
states: {waiting: {description: "idle | bored"}, working: {group: BUSY, actions: [{type: log, message: x}]}, stopped: }
events: {new_job: {description: a job came}, error: , stop: , unused: }
transitions:
  - {from: waiting, to: working, event: new_job}
  - {from: working, to: waiting, event: error}
  - {from: waiting, event: new_job, internal: true}
  - {from: "*", to: stopped, event: stop}
"""
HEADINGS = [
    "Main State Machine Flow",
    "Error Handling Flow",
    "Stop/Shutdown Flow",
    "States Overview",
    "Events Overview",
    "Configuration Summary",
]


def page(text: str = MACHINE) -> str:
    return markdown(DiagramSet(load_text(text)), "config/worker.yaml")


def test_it_names_the_machine_and_its_file() -> None:
    assert page().startswith(
        "# Worker\n\nDoes \\*jobs\\*\n\n- **Generated from:** `config/worker.yaml`\n- **Machine Name:** `worker`\n"
        "- **Version:** `1.2`\n- **Job Type:** `resize`\n"
    )


def test_it_has_the_sections_that_the_older_engines_wrote() -> None:
    assert re.findall(r"^## (.*)$", page(), re.MULTILINE) == HEADINGS
    assert re.findall(r"^```mermaid\nstateDiagram-v2\n", page(), re.MULTILINE) == ["```mermaid\nstateDiagram-v2\n"] * 3


def test_states_and_events_are_listed() -> None:
    assert "| `waiting` |  | initial |  | idle \\| bored |" in page()
    assert "| `working` | BUSY |  | `log` |  |" in page()
    assert "| `stopped` |  | final (success) |  |  |" in page()
    assert "| `new_job` | `waiting` → `working` | a job came |" in page()
    assert "| `stop` | any state → `stopped` |  |" in page()
    assert "| `unused` | — |  |" in page()


def test_a_missing_flow_is_replaced_by_a_sentence() -> None:
    bare = page("initial_state: a\ntransitions: [{from: a, to: b, event: go}]")

    assert "No transition takes the event `error`" in bare
    assert "No transition takes the events `stop` or `shutdown`." in bare


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_name_is_one_cell_of_a_table(phrase: str) -> None:
    for cell in (code(phrase), plain(phrase)):
        assert not re.search(r"(?<!\\)\||\n", cell)


def test_every_row_of_odd_machines_has_as_many_cells_as_its_table() -> None:
    for diagrams in odd_diagram_sets():
        for table in re.findall(r"(?:^\|.*\|\n)+", markdown(diagrams, "odd.yaml"), re.MULTILINE):
            rows = [len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()]
            assert len(set(rows)) == 1, table
