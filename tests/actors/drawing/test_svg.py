"""The drawing is XML, shows every name, and nothing overlaps."""

from __future__ import annotations

import re
from itertools import combinations
from xml.etree import ElementTree

import pytest

from statemachine_engine.actors.definition.loader import from_dict, load_text
from statemachine_engine.actors.drawing.diagrams import DiagramSet
from statemachine_engine.actors.drawing.svg import svg
from tests.support.diagram_sets import example_diagram_sets, odd_diagram_sets

SVG = "{http://www.w3.org/2000/svg}"


def drawn(diagrams: DiagramSet) -> ElementTree.Element:
    return ElementTree.fromstring(svg(diagrams.whole()))


def test_every_machine_is_drawn_as_xml_with_all_its_states() -> None:
    for diagrams in (*example_diagram_sets(), *odd_diagram_sets()):
        titles = {title.text for title in drawn(diagrams).iter(f"{SVG}title")}
        assert set(diagrams.ids) - titles <= {
            name for name in diagrams.ids if "\ufffd" in name or not name.isprintable()
        }


def test_the_drawing_is_the_same_each_time() -> None:
    first = [svg(diagrams.whole()) for diagrams in odd_diagram_sets()[:50]]
    odd_diagram_sets.cache_clear()

    assert [svg(diagrams.whole()) for diagrams in odd_diagram_sets()[:50]] == first


def test_no_state_lies_over_another_or_beyond_the_edge() -> None:
    for diagrams in (*example_diagram_sets(), *odd_diagram_sets()):
        root = drawn(diagrams)
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        boxes = [
            tuple(float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
            for rect in root.iter(f"{SVG}rect")
            if "class" in rect.attrib
        ]
        assert len(boxes) == sum(node.kind not in ("start", "end") for node in diagrams.whole().nodes)
        assert not [pair for pair in combinations(boxes, 2) if overlap(*pair)]
        assert all(min(x, y) >= 0 and x + w <= width and y + h <= height for x, y, w, h in boxes)


def test_arrows_begin_and_end_at_the_rims_of_states() -> None:
    diagrams = DiagramSet(
        load_text("initial_state: a\ntransitions: [{from: a, to: b, event: go}, {from: b, to: a, event: back}]")
    )
    root = drawn(diagrams)
    rims = {
        round(float(rect.attrib["y"]) + part * float(rect.attrib["height"]), 1)
        for rect in root.iter(f"{SVG}rect")
        if "class" in rect.attrib
        for part in (0, 1)
    }
    arrows = [path.attrib["d"] for path in root.iter(f"{SVG}path") if path.attrib["class"] == "arrow"]
    ends = [[float(number) for number in re.findall(r"-?\d+\.\d", arrow)] for arrow in arrows]

    assert len(arrows) == 3
    assert all(numbers[1] in rims and numbers[-1] in rims for numbers in ends[1:])


def test_long_names_are_cut_and_whole_in_their_tooltips() -> None:
    name = "n" * 200
    root = drawn(
        DiagramSet(from_dict({"initial_state": name, "transitions": [{"from": name, "to": name, "event": "go"}]}))
    )

    assert "n" * 43 + "…" in {text.text for text in root.iter(f"{SVG}text")}
    assert name in {title.text for title in root.iter(f"{SVG}title")}


@pytest.mark.timeout(30)
def test_a_machine_of_a_thousand_states_is_drawn_in_seconds() -> None:
    names = [f"s{number}" for number in range(1000)]
    chain = [{"from": a, "to": b, "event": "next"} for a, b in zip(names, names[1:], strict=False)]
    back = [{"from": name, "to": "s0", "event": "error"} for name in names]

    text = svg(DiagramSet(from_dict({"initial_state": "s0", "transitions": chain + back})).whole())

    assert len(text) < 5_000_000


# Helpers

Rectangle = tuple[float, ...]


def overlap(one: Rectangle, other: Rectangle) -> bool:
    return all(one[i] < other[i] + other[i + 2] and other[i] < one[i] + one[i + 2] for i in (0, 1))
