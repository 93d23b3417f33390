"""Write a diagram as Mermaid's stateDiagram-v2, with every name escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from unicodedata import category

from .diagrams import Diagram, Edge, Node

_INDENT = "    "
_STYLES = {
    "any": "stroke-dasharray:4",
    "outside": "stroke-dasharray:4",
    "group": "stroke-width:3px",
    "failure": "stroke:#c0392b",
}
_SAFE = frozenset("_-.,()/!?+'=×")
_INSIDE_WORDS = frozenset("_-.")
_DIRECTION = re.compile(r"(direction) ", re.IGNORECASE)


def mermaid(diagram: Diagram) -> str:
    """Return the whole text; it ends with a line break."""
    return "\n".join(["stateDiagram-v2", *(f"{_INDENT}{line}" for line in _lines(diagram))]) + "\n"


def escaped(text: str) -> str:
    """Return a label in which Mermaid's special characters are written as `#code;`, which it shows as the character."""
    chars = [_escaped(c, text[i - 1 : i], text[i + 1 : i + 2]) for i, c in enumerate(text)]
    return _DIRECTION.sub(r"\1#32;", "".join(chars))  # Mermaid obeys `direction TB` anywhere in a line


# Helpers


def _lines(diagram: Diagram) -> Iterator[str]:
    ids = {node.id: "[*]" if node.kind in ("start", "end") else node.id for node in diagram.nodes}
    boxes = {node.id: node.box for node in diagram.nodes}

    def home(edge: Edge) -> str | None:
        box = boxes.get(edge.source)
        return box if box == boxes.get(edge.target) else None

    def content(box: str | None) -> Iterator[str]:
        yield from (_declaration(node.id, node.name) for node in diagram.nodes if node.box == box and _is_named(node))
        yield from (_arrow(edge, ids) for edge in diagram.edges if home(edge) == box)

    for box in diagram.boxes:
        yield f"{_declaration(box.id, box.name, always=True)} {{"
        yield from (f"{_INDENT}{line}" for line in content(box.id))
        yield "}"
    yield from content(None)
    yield from _classes(diagram)


def _is_named(node: Node) -> bool:
    return node.kind not in ("start", "end")


def _declaration(node_id: str, name: str, *, always: bool = False) -> str:
    return node_id if name == node_id and not always else f'state "{escaped(name)}" as {node_id}'


def _arrow(edge: Edge, ids: dict[str, str]) -> str:
    ends = f"{ids.get(edge.source, edge.source)} --> {ids.get(edge.target, edge.target)}"
    return f"{ends} : {escaped(edge.label)}" if edge.label else ends


def _classes(diagram: Diagram) -> Iterator[str]:
    members = {name: [n.id for n in diagram.nodes if name in (n.kind, n.outcome) and _is_named(n)] for name in _STYLES}
    for name, style in _STYLES.items():
        if members[name]:
            yield f"classDef {name} {style}"
            yield f"class {','.join(members[name])} {name}"


def _escaped(char: str, before: str, after: str) -> str:
    kind = category(char)[0]
    if kind in "LNM":
        return char
    if char == " ":
        return char if before not in ("", " ") and after else "#32;"
    if char in _INSIDE_WORDS:  # at the edge of a word they can be Markdown
        return char if before.isalnum() and after.isalnum() else _code(char)
    return char if char in _SAFE else _code(char)


def _code(char: str) -> str:
    return f"#{ord(char)};"
