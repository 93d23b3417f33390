"""Machines to draw: the examples, and 200 with odd names."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from statemachine_engine.actors.definition.loader import from_dict, load
from statemachine_engine.actors.drawing.diagrams import Diagram, DiagramSet
from tests.support.oddconfigs import odd_config

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*/config/*.yaml"))
ODD = 200


@cache
def example_diagram_sets() -> list[DiagramSet]:
    """Return the diagram set of every machine of the examples."""
    return [DiagramSet(load(path)) for path in EXAMPLES]


@cache
def odd_diagram_sets() -> list[DiagramSet]:
    """200 legal machines; every second with counts beside the arrows."""
    definitions = [from_dict(odd_config(seed)) for seed in range(ODD)]
    return [DiagramSet(definition, {} if seed % 2 else None) for seed, definition in enumerate(definitions)]


def views(diagrams: DiagramSet) -> Iterator[Diagram]:
    """Return every diagram of a machine that shows something of its own."""
    yield diagrams.whole()
    if diagrams.groups:
        yield from (diagrams.main(), diagrams.flow())
    yield from (view for view in (diagrams.errors(), diagrams.stops()) if view.edges)
    yield from (diagrams.group(name) for name in diagrams.groups)


def all_views() -> list[Diagram]:
    """Return every diagram of the examples and of half of the odd machines, and two large ones of the other half."""
    odd = odd_diagram_sets()
    large = [view for diagrams in odd[ODD // 2 :] for view in dict.fromkeys((diagrams.whole(), diagrams.main()))]
    return [view for diagrams in (*example_diagram_sets(), *odd[: ODD // 2]) for view in views(diagrams)] + large
