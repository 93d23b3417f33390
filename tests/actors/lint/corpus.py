"""Read the machines of broken.md and good.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ARROW = "➤"
_ENTRY = re.compile(r"^### ([^\n]+)\n\n```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Entry(NamedTuple):
    """One machine."""

    title: str
    text: str
    findings: tuple[tuple[str, int, int], ...] = ()
    """The code, line and column of each, in their order."""
    shape: bool = False
    """True if its form is wrong, so that the schema must refuse it too."""


def broken() -> Iterator[Entry]:
    """Yield the machines with findings. An arrow marks each place; `### title: CODES` names the codes."""
    for heading, text in _entries("broken.md"):
        title, _, words = heading.rpartition(": ")
        codes = [word for word in words.split() if word != "shape"]
        plain, places = _without_arrows(text)
        findings = sorted((line, column, code) for code, (line, column) in zip(codes, places, strict=True))
        yield Entry(title, plain, tuple((c, line, column) for line, column, c in findings), "shape" in words.split())


def good() -> Iterator[Entry]:
    """Yield the machines without findings."""
    for title, text in _entries("good.md"):
        yield Entry(title, text)


def _entries(name: str) -> list[tuple[str, str]]:
    return [(m[1], m[2]) for m in _ENTRY.finditer((HERE / name).read_text(encoding="utf-8"))]


def _without_arrows(text: str) -> tuple[str, list[tuple[int, int]]]:
    before, places = "", []
    for part in text.split(ARROW)[:-1]:
        before += part
        places.append((before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1))
    return text.replace(ARROW, ""), places
