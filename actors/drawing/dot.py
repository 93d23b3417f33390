"""Write a diagram for Graphviz."""

from __future__ import annotations

from collections.abc import Iterator

from .diagrams import Diagram, Edge, Node

_SHAPES = {
    "state": 'shape=box, style="rounded"',
    "start": 'shape=circle, style=filled, fillcolor=black, width=0.2, label=""',
    "end": 'shape=doublecircle, style=filled, fillcolor=black, width=0.15, label=""',
    "any": 'shape=box, style="rounded,dashed"',
    "outside": 'shape=box, style="rounded,dashed"',
    "group": "shape=box, penwidth=2",
}
_HEAD = (
    'node [fontname="sans-serif", fontsize=12]',
    'edge [fontname="sans-serif", fontsize=10]',
)


def dot(diagram: Diagram) -> str:
    """Return a digraph with the groups as clusters; the text ends with a line break."""
    lines = [f"digraph {quoted(diagram.title)} {{", *(f"  {line}" for line in _lines(diagram)), "}"]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Return a quoted string in which no character has a special meaning."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


# Helpers


def _lines(diagram: Diagram) -> Iterator[str]:
    yield f"label={quoted(diagram.title)}"
    yield from _HEAD
    for box in diagram.boxes:
        yield f"subgraph {quoted(f'cluster_{box.id}')} {{"
        yield f"  label={quoted(box.name)}"
        yield from (f"  {_node(node)}" for node in diagram.nodes if node.box == box.id)
        yield "}"
    yield from (_node(node) for node in diagram.nodes if node.box is None)
    yield from (_edge(edge) for edge in diagram.edges)


def _node(node: Node) -> str:
    label = "" if node.kind in ("start", "end") else f"label={_label(node.name)}, "
    color = ", color=red3" if node.outcome == "failure" else ""
    return f"{quoted(node.id)} [{label}{_SHAPES[node.kind]}{color}]"


def _edge(edge: Edge) -> str:
    label = f" [label={_label(edge.label)}]" if edge.label else ""
    return f"{quoted(edge.source)} -> {quoted(edge.target)}{label}"


def _label(text: str) -> str:
    return quoted(text.replace("&", "&amp;"))  # Graphviz reads HTML's entities in labels
