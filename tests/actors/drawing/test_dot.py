"""Graphviz itself reads what we write for it."""

from __future__ import annotations

from collections import Counter

from statemachine_engine.actors.definition.loader import load_text
from statemachine_engine.actors.drawing.diagrams import DiagramSet
from statemachine_engine.actors.drawing.dot import dot, quoted
from tests.support.diagram_sets import example_diagram_sets, odd_diagram_sets
from tests.support.readers import read


def test_graphviz_finds_the_states_and_arrows_of_the_examples_and_of_200_odd_machines() -> None:
    diagrams = [machine.whole() for machine in (*example_diagram_sets(), *odd_diagram_sets())]

    for diagram, reading in zip(diagrams, read(map(dot, diagrams), "dot"), strict=True):
        text = dot(diagram)
        assert reading.error is None, f"{reading.error}\n{text}"
        assert reading.labels.keys() == {node.id for node in diagram.nodes}
        ends = Counter((source, target) for source, target, _ in reading.edges)
        assert ends == Counter((edge.source, edge.target) for edge in diagram.edges)


def test_groups_are_clusters() -> None:
    text = dot(DiagramSet(load_text("initial_state: a\nstates: {a: {group: IDLE WORK}}\ntransitions: []")).whole())

    assert 'subgraph "cluster_IDLEWORK" {\n    label="IDLE WORK"\n    "a" [label="a"' in text


def test_quotes_and_backslashes_are_escaped() -> None:
    assert quoted('a "b" \\N') == '"a \\"b\\" \\\\N"'
