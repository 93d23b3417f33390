"""Mermaid reads the same states, arrows and labels from our text, whatever their names."""

from __future__ import annotations

from collections import Counter

import pytest

from statemachine_engine.actors.definition.loader import load_text
from statemachine_engine.actors.drawing.diagrams import Diagram, DiagramSet, Edge, Node
from statemachine_engine.actors.drawing.mermaid import escaped, mermaid
from tests.support.diagram_sets import all_views, example_diagram_sets, odd_diagram_sets, views
from tests.support.oddconfigs import PHRASES
from tests.support.readers import READ_S, complaints, read


@pytest.mark.timeout(READ_S + 20)
def test_mermaid_finds_the_states_arrows_and_labels_of_the_examples_and_of_200_odd_machines() -> None:
    diagrams = all_views()

    for diagram, reading in zip(diagrams, read(map(mermaid, diagrams)), strict=True):
        text = mermaid(diagram)
        assert reading.error is None, f"{reading.error}\n{text}"
        assert Counter(reading.edges) == Counter(ends_for_mermaid(diagram, edge) for edge in diagram.edges), text
        names = {thing.id: thing.name for thing in (*named(diagram), *diagram.boxes)}
        assert {key: label for key, label in reading.labels.items() if key in names} == names, text
        homes = {node.id: node.box for node in named(diagram)}
        assert {key: parent for key, parent in reading.parents.items() if key in homes} == homes, text


@pytest.mark.timeout(READ_S + 20)
def test_mermaid_draws_the_examples_and_odd_machines_to_the_end() -> None:
    diagrams = [view for machine in (*example_diagram_sets(), *odd_diagram_sets()[::50]) for view in views(machine)]

    assert complaints(map(mermaid, diagrams), depth="render") == []


def test_the_text_is_the_same_each_time() -> None:
    first = [mermaid(view) for view in all_views()]

    odd_diagram_sets.cache_clear()
    example_diagram_sets.cache_clear()

    assert [mermaid(view) for view in all_views()] == first


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_label_is_one_line_without_characters_that_end_it(phrase: str) -> None:
    label = escaped(phrase)

    assert not set('\n\r:"{}[]<>%`') & set(label)
    assert label == label.strip()


def test_plain_names_stay_readable() -> None:
    text = mermaid(DiagramSet(load_text(PLAIN)).whole())

    assert "    waiting --> in_work : new_job" in text
    assert "    in_work --> waiting : timeout(30) / log" in text
    assert "    any_state --> stopped : stop" in text


PLAIN = """
initial_state: waiting
transitions:
  - {from: waiting, to: in_work, event: new_job}
  - {from: in_work, to: waiting, event: timeout(30), actions: [{type: log, message: slow}]}
  - {from: "*", to: stopped, event: stop}
"""


# Helpers


def named(diagram: Diagram) -> list[Node]:
    return [node for node in diagram.nodes if node.kind not in ("start", "end")]


def ends_for_mermaid(diagram: Diagram, edge: Edge) -> tuple[str, str, str]:
    """Mermaid names the two ends of a frame X_start and X_end, those outside root_start and root_end."""
    kinds = {node.id: node.kind for node in diagram.nodes}
    homes = {node.id: node.box or "root" for node in diagram.nodes}
    source, target = (
        f"{homes[end]}_{kinds[end]}" if kinds.get(end) in ("start", "end") else end
        for end in (edge.source, edge.target)
    )
    return source, target, edge.label
