"""Explain the codes: the texts are read from docs/validate.md, which ships with the package."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from textwrap import indent
from typing import NamedTuple

from ..errors import Severity

_PAGE = files("statemachine_engine").joinpath("docs", "validate.md")
_SECTION = re.compile(r"^### ([EW]\d{3}) ([^\n]+)\n\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
_EXAMPLE = re.compile(r"^```text\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


class Rule(NamedTuple):
    """One kind of finding."""

    code: str
    title: str
    text: str
    """The reason and the remedy, as Markdown."""
    wrong: str
    """A file that has this finding; empty if no file's text can show it."""

    @property
    def severity(self) -> Severity:
        """Codes that begin with E are errors."""
        return "error" if self.code.startswith("E") else "warning"

    def explanation(self) -> str:
        """Return the whole explanation as text for a terminal."""
        example = f"\n\nFor example:\n\n{indent(self.wrong, '    ').rstrip()}" if self.wrong else ""
        return f"{self.code} ({self.severity}): {self.title}\n\n{self.text}{example}"


@cache
def rules() -> dict[str, Rule]:
    """Return all rules by code, errors first."""
    all_rules = (_rule(*match.groups()) for match in _SECTION.finditer(_PAGE.read_text(encoding="utf-8")))
    return {rule.code: rule for rule in all_rules}


def chosen(words: str) -> set[str]:
    """Return the codes that `E012,W` or `all` selects. Raise ValueError for a word that matches no code."""
    codes: set[str] = set()
    for word in filter(None, (part.strip().upper() for part in words.split(","))):
        fitting = {code for code in rules() if code.startswith(word) or word == "ALL"}
        if not fitting:
            raise ValueError(f"there is no code {word}; all: {', '.join(rules())}")
        codes |= fitting
    return codes


def _rule(code: str, title: str, body: str) -> Rule:
    example = _EXAMPLE.search(body)
    return Rule(code, title, _EXAMPLE.sub("", body).strip(), example[1] if example else "")
