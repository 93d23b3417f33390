"""Draw a diagram as SVG, without another program: states in layers, arrows with their events."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from unicodedata import combining, east_asian_width
from xml.sax.saxutils import escape

from .diagrams import Diagram, Edge, Node
from .layout import Arrow, Layout, Point, Size, layered

_CHARACTER, _LINE = 7.3, 15.0
_MARGIN = 20.0
_LONGEST = 44
_LOOP = 26.0
_STYLE = """\
text { font: 12px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; text-anchor: middle; fill: #1f2937 }
.state, .group { fill: #f5f7ff; stroke: #4b5b8c; stroke-width: 1.2 }
.group { stroke-width: 3 }
.any, .outside { fill: #ffffff; stroke: #4b5b8c; stroke-dasharray: 4 }
.failure { stroke: #c0392b }
.success { stroke: #2e7d32 }
.start, .dot { fill: #1f2937 }
.end { fill: #ffffff; stroke: #1f2937 }
.arrow { fill: none; stroke: #6b7280; stroke-width: 1.2 }
.head { fill: #6b7280 }
.event { font-size: 11px; paint-order: stroke; stroke: #ffffff; stroke-width: 4px }
.title { font-weight: bold }"""
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class _Shape:
    """A node with its room. Its loops are written on its right."""

    node: Node
    own: Size
    loops: list[str]

    @property
    def size(self) -> Size:
        beside = _LOOP + _width(self.loops) if self.loops else 0.0
        height = max(self.own.height, len(self.loops) * _LINE)
        return Size(self.own.width + beside, height, core=(self.own.width, self.own.height))


def svg(diagram: Diagram) -> str:
    """Return a complete SVG document, which ends with a line break."""
    shapes = [_shape(node, [e for e in diagram.edges if e.source == e.target == node.id]) for node in diagram.nodes]
    lines = _bundled(diagram)
    numbers = {node.id: number for number, node in enumerate(diagram.nodes)}
    arrows = [Arrow(numbers[a], numbers[b], _room(labels)) for (a, b), labels in lines.items()]
    layout = layered([shape.size for shape in shapes], arrows)
    return "\n".join(_document(diagram.title, shapes, list(lines.values()), layout)) + "\n"


# Helpers


def _bundled(diagram: Diagram) -> dict[tuple[str, str], list[str]]:
    """Return the labels of all edges between two nodes, which share one arrow."""
    bundles: dict[tuple[str, str], list[str]] = {}
    for edge in diagram.edges:
        if edge.source != edge.target:
            bundles.setdefault((edge.source, edge.target), []).extend([edge.label] if edge.label else [])
    return bundles


def _shape(node: Node, loops: Iterable[Edge]) -> _Shape:
    if node.kind in ("start", "end"):
        return _Shape(node, Size(18, 18), [])
    return _Shape(node, Size(_width([node.name]) + 24, 34), [edge.label for edge in loops])


def _room(labels: list[str]) -> Size:
    return Size(_width(labels) + 8 if labels else 0, len(labels) * _LINE)


def _width(lines: Iterable[str]) -> float:
    return max((sum(map(_columns, _cut(line))) for line in lines), default=0) * _CHARACTER


def _columns(char: str) -> int:
    return 0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _document(title: str, shapes: list[_Shape], labels: list[list[str]], layout: Layout) -> Iterator[str]:
    heading = 24.0
    width = max(layout.size.width, _width([title])) + 2 * _MARGIN
    height = layout.size.height + 2 * _MARGIN + heading
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">'
    )
    yield f"<title>{_text(title)}</title>"
    yield f"<style>\n{_STYLE}\n</style>"
    yield '<marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    yield '<path class="head" d="M0 0 8 4 0 8z"/></marker>'
    yield '<rect width="100%" height="100%" fill="#ffffff"/>'
    yield f'<text class="title" x="{width / 2:.1f}" y="{_MARGIN + 8:.1f}">{_text(_cut(title))}</text>'
    shift = (width - layout.size.width) / 2
    yield f'<g transform="translate({shift:.1f} {_MARGIN + heading:.1f})">'
    yield from (_path(route) for route in layout.routes)
    for shape, place in zip(shapes, layout.boxes, strict=True):
        yield from _drawn(shape, place)
    for lines, place in zip(labels, layout.labels, strict=True):
        yield from _lines(lines, place)
    yield "</g>"
    yield "</svg>"


def _drawn(shape: _Shape, place: Point) -> Iterator[str]:
    node, own = shape.node, shape.own
    x, y = place[0] - (shape.size.width - own.width) / 2, place[1]
    if node.kind in ("start", "end"):
        yield f'<circle class="{node.kind}" cx="{x:.1f}" cy="{y:.1f}" r="9"/>'
        if node.kind == "end":
            yield f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
        return
    look = f"{node.kind} {node.outcome}" if node.outcome else node.kind
    yield f"<g><title>{_text(node.name)}</title>"
    yield (
        f'<rect class="{look}" x="{x - own.width / 2:.1f}" y="{y - own.height / 2:.1f}" '
        f'width="{own.width:.1f}" height="{own.height:.1f}" rx="8"/>'
    )
    yield f'<text x="{x:.1f}" y="{y + 4:.1f}">{_text(_cut(node.name))}</text></g>'
    if shape.loops:
        side = x + own.width / 2
        yield (f'<path class="arrow" marker-end="url(#head)" d="M{side:.1f} {y - 8:.1f}c24 -10 24 26 0 16"/>')
        yield from _lines(shape.loops, (side + _LOOP + _width(shape.loops) / 2, y))


def _lines(lines: list[str], place: Point) -> Iterator[str]:
    top = place[1] - (len(lines) - 1) * _LINE / 2 + 4
    for number, line in enumerate(lines):
        text = f"<title>{_text(line)}</title>{_text(_cut(line))}" if len(line) > _LONGEST else _text(line)
        yield f'<text class="event" x="{place[0]:.1f}" y="{top + number * _LINE:.1f}">{text}</text>'


def _path(route: list[Point]) -> str:
    (x, y), *rest = _bends(route)
    steps = [f"M{x:.1f} {y:.1f}"]
    for to_x, to_y in rest:
        middle = (y + to_y) / 2
        steps.append(f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
    return f'<path class="arrow" marker-end="url(#head)" d="{"".join(steps)}"/>'


def _bends(route: list[Point]) -> list[Point]:
    """Return the route without the points in the middle of a straight line."""
    inner = zip(route, route[1:], route[2:], strict=False)
    kept = [here for before, here, after in inner if max(abs(before[0] - here[0]), abs(after[0] - here[0])) > 0.5]
    return [route[0], *kept, route[-1]]


def _text(text: str) -> str:
    return escape(_NO_XML.sub("\ufffd", text))
