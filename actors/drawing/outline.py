"""Writes a diagram as plain text: each state, and below it where its events lead."""

from __future__ import annotations

from collections.abc import Iterator

from .diagrams import END, START, Diagram, Node


def outline(diagram: Diagram) -> str:
    """Only the names may be other than ASCII; with a line break at its end."""
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
        ways = [
            (e.label.replace("×", "x"), names[e.target]) for e in diagram.edges if _leaves(e.source, e.target, node)
        ]
        width = min(max((len(label) for label, _ in ways), default=0), 30)
        yield from (f"    {label:{width}} --> {target}" for label, target in ways)


def _leaves(source: str, target: str, node: Node) -> bool:
    return source == node.id and target != END


def _remark(node: Node, first: bool) -> str:
    remarks = ["begins here"] if first else []
    if node.outcome is not None:
        remarks.append(f"ends here: {node.outcome}")
    return f"  ({', '.join(remarks)})" if remarks else ""
