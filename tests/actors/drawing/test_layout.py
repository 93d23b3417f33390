"""Layers, order and places of boxes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from statemachine_engine.actors.drawing.layout import Arrow, Size, layered

BOX, LABEL = Size(60, 30), Size(40, 15)


def arrow(source: int, target: int) -> Arrow:
    return Arrow(source, target, LABEL)


def test_an_arrow_leads_down_and_one_that_closes_a_cycle_up() -> None:
    layout = layered([BOX] * 3, [arrow(0, 1), arrow(1, 2), arrow(2, 0)])

    heights = [y for _, y in layout.boxes]
    assert heights == sorted(heights)
    assert layout.routes[2][0][1] > layout.routes[2][-1][1]


def test_boxes_of_a_layer_are_sorted_so_that_arrows_do_not_cross() -> None:
    layout = layered([BOX] * 4, [arrow(0, 3), arrow(1, 2)])

    (left, _), (right, _) = layout.boxes[:2]
    assert (left < right) == (layout.boxes[3][0] < layout.boxes[2][0])


def test_no_boxes_give_an_empty_layout() -> None:
    assert layered([], []).boxes == []


graphs = st.integers(1, 12).flatmap(
    lambda count: st.lists(
        st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda pair: pair[0] != pair[1]),
        unique=True,
        max_size=30,
    ).map(lambda pairs: (count, pairs))
)


@settings(deadline=None)
@given(graphs)
def test_boxes_and_labels_never_overlap(graph: tuple[int, list[tuple[int, int]]]) -> None:
    count, pairs = graph

    layout = layered([BOX] * count, [arrow(*pair) for pair in pairs])

    things = [(place, BOX) for place in layout.boxes] + [(place, LABEL) for place in layout.labels]
    for number, ((x, y), size) in enumerate(things):
        assert x - size.width / 2 >= -0.01
        for (other_x, other_y), other in things[:number]:
            apart_x = abs(x - other_x) >= (size.width + other.width) / 2 - 0.01
            assert apart_x or abs(y - other_y) >= (size.height + other.height) / 2 - 0.01
    assert all(len(route) >= 3 for route in layout.routes)
