"""Write a diagram as plain text: each state, and below it the targets of its events."""

from __future__ import annotations

from collections.abc import Iterator

from .diagrams import END, START, Diagram, Node


def outline(diagram: Diagram) -> str:
    """Return the text, which ends with a line break. Only the names may have characters outside ASCII."""
    return "\n".join([diagram.title, *_lines(diagram)]) + "\n"


# Helpers


def _lines(diagram: Diagram) -> Iterator[str]:
    firsts = {edge.target for edge in diagram.edges if edge.source == START}
    yield from _states(diagram, None, firsts)
    for box in diagram.boxes:
        yield from ("", f"=== {box.name} ===")
        yield from _states(diagram, box.id, firsts)


def _states(diagram: Diagram, box: str | None, firsts: set[str]) -> Iterator[str]:
    names = {node.id: node.name for node in diagram.nodes}
    for node in diagram.nodes:
        if node.box != box or node.kind in ("start", "end"):
            continue
        yield from ("", f"[{node.name}]{_remark(node, node.id in firsts)}")
        edges = (edge for edge in diagram.edges if edge.source == node.id and edge.target != END)
        ways = [(edge.label.replace("×", "x"), names[edge.target]) for edge in edges]
        width = min(max((len(label) for label, _ in ways), default=0), 30)
        yield from (f"    {label:{width}} --> {target}" for label, target in ways)


def _remark(node: Node, first: bool) -> str:
    remarks = ["begins here"] if first else []
    if node.outcome is not None:
        remarks.append(f"ends here: {node.outcome}")
    return f"  ({', '.join(remarks)})" if remarks else ""
