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
def example_atlases() -> list[DiagramSet]:
    """Every machine of the examples."""
    return [DiagramSet(load(path)) for path in EXAMPLES]


@cache
def odd_atlases() -> list[DiagramSet]:
    """200 legal machines; every second with counts beside the arrows."""
    definitions = [from_dict(odd_config(seed)) for seed in range(ODD)]
    return [DiagramSet(definition, {} if seed % 2 else None) for seed, definition in enumerate(definitions)]


def views(atlas: DiagramSet) -> Iterator[Diagram]:
    """Every diagram of a machine that has something of its own."""
    yield atlas.whole()
    if atlas.groups:
        yield from (atlas.main(), atlas.flow())
    yield from (view for view in (atlas.errors(), atlas.stops()) if view.edges)
    yield from (atlas.group(name) for name in atlas.groups)


def all_views() -> list[Diagram]:
    """Every diagram of the examples and of half of the odd machines, the two large ones of the other half."""
    odd = odd_atlases()
    large = [view for atlas in odd[ODD // 2 :] for view in dict.fromkeys((atlas.whole(), atlas.main()))]
    return [view for atlas in (*example_atlases(), *odd[: ODD // 2]) for view in views(atlas)] + large
