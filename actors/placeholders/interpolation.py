"""Placeholders: `{name}`, `{a.b.0.c}`, `{a|b}`, `{files|length|default:0}`, filled in from a machine's context.

`{{name}}` is the literal `{name}`, `{{{name}}}` a value between braces; every other brace stays as it is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .filters import FILTERS, MISSING, Filter, joined_by, text_of

__all__ = ["MISSING", "Piece", "Placeholder", "interpolate", "pieces_at", "resolve", "text_of"]

Step = Callable[[Any, Mapping[str, Any]], Any]
"""Function from the value so far and the context to the next value."""

_KEY = r"\w+(?:-\w+)*"
_PATH = rf"(?=[^\W\d]){_KEY}(?:\.{_KEY})*"
_ARGUMENT = r"""'[^']*'|"[^"]*"|[^\s{}|'"]*"""
_EXPRESSION = rf"{_PATH}(?:\|{_PATH}(?::(?:{_ARGUMENT}))?)*"
_HEAD = re.compile(_PATH)
_SEGMENT = re.compile(rf"\|({_PATH})(?::({_ARGUMENT}))?")
_WHOLE = re.compile(_EXPRESSION)
_BRACED = re.compile(rf"\{{\{{\{{{_EXPRESSION}\}}\}}\}}|\{{\{{{_EXPRESSION}\}}\}}|\{{{_EXPRESSION}\}}")
_GO_BLOCK = re.compile(r"\{\{-?\s*(?:if|range|with|define|block)\s")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One parsed placeholder of a template."""

    source: str
    """The text of the placeholder, with its braces."""
    path: tuple[str, ...]
    steps: tuple[Step, ...] = ()
    """Alternatives and filters, left to right."""
    raw: bool = False
    """The value is meant to be program text; only shell commands make a difference."""

    def value(self, context: Mapping[str, Any]) -> Any:
        """Return the value, None for null, MISSING if there is none."""
        found = _walk(self.path, context)
        for step in self.steps:
            found = step(found, context)
        return found

    def text(self, context: Mapping[str, Any]) -> str | None:
        """Return the value as text, None if it is missing or null."""
        value = self.value(context)
        if isinstance(value, str):
            return value
        if value is None or value is MISSING:
            return None
        try:
            return text_of(value)
        except (ValueError, RecursionError):  # circular, or deeper than JSON is written
            return None


Piece = str | Placeholder
"""A part of a compiled template: text or a placeholder."""


def interpolate(value: Any, context: Mapping[str, Any]) -> Any:
    """Return the value with the placeholders in its strings filled in, at any depth, in one pass; keys do not change.

    A placeholder that is the whole string keeps the type of its value; within text it becomes text. A placeholder whose
    value is missing or null stays as it is written. Lists and mappings are copied, so that changes do not reach the
    context.
    """
    if isinstance(value, str):
        return _filled(value, context) if "{" in value else value
    if isinstance(value, Mapping):
        return {key: interpolate(item, context) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, context) for item in value]
    if isinstance(value, tuple):
        return tuple(interpolate(item, context) for item in value)
    return value


def resolve(expression: str, context: Mapping[str, Any]) -> Any:
    """Return the value of the expression of a placeholder: None for null, MISSING if there is none."""
    found = _placeholder(expression, alone=True)
    return MISSING if found is None else found.value(context)


def pieces_at(text: str, start: int) -> tuple[tuple[Piece, ...], int] | None:
    """Return the pieces of the placeholder or literal at `start`, and its end; None if there is neither."""
    found = _BRACED.match(text, start)
    return (_pieces(found), found.end()) if found else None


def _filled(template: str, context: Mapping[str, Any]) -> Any:
    pieces = _compiled(template)
    if len(pieces) == 1:
        return _alone(pieces[0], context)
    filled = []
    for piece in pieces:
        if isinstance(piece, str):
            filled.append(piece)
        else:
            text = piece.text(context)
            filled.append(piece.source if text is None else text)
    return "".join(filled)


def _alone(piece: Piece, context: Mapping[str, Any]) -> Any:
    if isinstance(piece, str):
        return piece
    value = piece.value(context)
    return piece.source if value is None or value is MISSING else _copied(value)


def _copied(value: Any) -> Any:
    if not isinstance(value, (dict, list)):
        return value
    try:
        return _deep_copied(value)
    except RecursionError:
        return value


def _deep_copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _deep_copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_deep_copied(item) for item in value]
    return value


@lru_cache(maxsize=4096)
def _compiled(template: str) -> tuple[Piece, ...]:
    whole = _BRACED.fullmatch(template)
    if whole and not template.startswith("{{"):
        return (_placeholder(template[1:-1], alone=True) or template,)
    pieces: list[Piece] = []
    end = 0
    for found in _BRACED.finditer(template):
        pieces += (template[end : found.start()], *_pieces(found))
        end = found.end()
    pieces.append(template[end:])
    return tuple(piece for piece in pieces if piece)


def _pieces(found: re.Match[str]) -> tuple[Piece, ...]:
    text = found.group()
    braces = len(text) - len(text.lstrip("{"))
    placeholder = _placeholder(text[braces:-braces], alone=False)
    if placeholder is None or (braces == 2 and _is_go(found)):
        return (text,)
    if braces == 1:
        return (placeholder,)
    return (placeholder.source,) if braces == 2 else ("{", placeholder, "}")


def _is_go(found: re.Match[str]) -> bool:
    """Return True for `{{end}}` and `{{else}}` of a Go template, which begins with another action in braces."""
    return found.group() in ("{{end}}", "{{else}}") and bool(_GO_BLOCK.search(found.string, 0, found.start()))


@lru_cache(maxsize=4096)
def _placeholder(expression: str, *, alone: bool) -> Placeholder | None:
    head = _HEAD.match(expression)
    if not head or not _WHOLE.fullmatch(expression):
        return None
    segments = [match.groups() for match in _SEGMENT.finditer(expression, head.end())]
    steps = [_step(name, argument, alone) for name, argument in segments]
    if None in steps:
        return None
    raw = any(name == "raw" for name, _ in segments)
    return Placeholder(f"{{{expression}}}", tuple(head[0].split(".")), tuple(filter(None, steps)), raw)


def _step(name: str, argument: str | None, alone: bool) -> Step | None:
    """Return the function of a segment after `|`; None if it is neither a filter nor a path."""
    if name == "default":
        return None if argument is None else _default(_constant(argument, alone))
    if name == "join":
        return _filtered(joined_by("," if argument is None else _unquoted(argument)))
    if argument is not None:
        return None
    return _filtered(FILTERS[name]) if name in FILTERS else _alternative(tuple(name.split(".")))


def _default(constant: Any) -> Step:
    return lambda value, context: constant if value is None or value is MISSING else value


def _alternative(path: tuple[str, ...]) -> Step:
    return lambda value, context: _walk(path, context) if value is None or value is MISSING else value


def _filtered(apply: Filter) -> Step:
    def step(value: Any, context: Mapping[str, Any]) -> Any:
        if value is MISSING or (value is None and apply is not FILTERS["json"]):
            return value
        try:
            return apply(value)
        except (TypeError, ValueError, OverflowError, RecursionError):
            return MISSING

    return step


def _walk(path: tuple[str, ...], context: Mapping[str, Any]) -> Any:
    """Follow a path of keys of mappings and indexes of lists; attributes of objects are not read."""
    found: Any = context
    for key in path:
        if isinstance(found, (dict, Mapping)):
            found = found.get(key, MISSING)
        elif isinstance(found, (list, tuple)) and key.isascii() and key.isdigit():
            found = found[int(key)] if len(key) < 10 and int(key) < len(found) else MISSING
        else:
            return MISSING
    return found


def _unquoted(argument: str) -> str:
    return argument[1:-1] if argument[:1] in ("'", '"') else argument


def _constant(argument: str, alone: bool) -> Any:
    """Return the text, or a number or boolean without quotes, if its text is the same or `alone` is set."""
    text = _unquoted(argument)
    try:
        constant = json.loads(text) if text is argument else text
    except (ValueError, RecursionError):
        return text
    if isinstance(constant, (bool, int, float)) and (alone or text_of(constant) == text):
        return constant
    return text
