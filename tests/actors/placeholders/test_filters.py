"""Filters change the value of a placeholder, and leave the placeholder alone where they cannot."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from statemachine_engine.actors.placeholders.filters import FILTERS, text_of
from statemachine_engine.actors.placeholders.interpolation import interpolate

CONTEXT: dict[str, Any] = {
    "path": "/data/in/photo.tar.gz",
    "plain": "photo",
    "folder": "/data/in/",
    "real": Path("/data/x.png"),
    "list": ["a", 2, None],
    "none": [],
    "map": {"k": "é"},
    "text": "Grüße",
    "digits": " 42 ",
    "decimal": "3.9",
    "number": -3.9,
    "word": "abc",
    "endless": float("inf"),
    "null": None,
    "yes": True,
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("list|length", 3),
        ("text|length", 5),
        ("map|length", 1),
        ("number|length", "{number|length}"),
        ("text|upper", "GRÜSSE"),
        ("text|lower", "grüße"),
        ("yes|upper", "TRUE"),
        ("list|upper", "{list|upper}"),
        ("text|json", '"Grüße"'),
        ("list|json", '["a", 2, null]'),
        ("null|json", "null"),
        ("path|basename", "photo.tar.gz"),
        ("folder|basename", "in"),
        ("path|dirname", "/data/in"),
        ("plain|dirname", "."),
        ("path|stem", "photo.tar"),
        ("path|ext", ".gz"),
        ("plain|ext", ""),
        ("real|basename", "x.png"),
        ("list|basename", "{list|basename}"),
        ("list|join", "a,2,null"),
        ("list|join:", "a2null"),
        ("list|join:-", "a-2-null"),
        ("list|join:', '", "a, 2, null"),
        ("text|join:,", "{text|join:,}"),
        ("list|first", "a"),
        ("list|first|upper", "A"),
        ("list|last|default:end", "end"),
        ("none|first", "{none|first}"),
        ("none|first|default:0", 0),
        ("text|first", "{text|first}"),
        ("digits|int", 42),
        ("decimal|int", 3),
        ("number|int", -3),
        ("yes|int", 1),
        ("word|int", "{word|int}"),
        ("list|int", "{list|int}"),
        ("endless|int", "{endless|int}"),
        ("decimal|float", 3.9),
        ("yes|float", 1.0),
        ("endless|float", "{endless|float}"),
        ("map|float", "{map|float}"),
        ("text|raw", "Grüße"),
        ("path|basename|stem|upper", "PHOTO.TAR"),
    ],
)
def test_a_filter_applied(expression: str, value: object) -> None:
    result = interpolate(f"{{{expression}}}", CONTEXT)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_a_filter_leaves_what_is_missing_missing(name: str) -> None:
    assert interpolate(f"{{missing|{name}}}", CONTEXT) == f"{{missing|{name}}}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("é\n", "é\n"),
        (True, "true"),
        (None, "null"),
        (1, "1"),
        (2.0, "2.0"),
        (["é", {"a": None}], '["é", {"a": null}]'),
        ((1, 2), "[1, 2]"),
        (MappingProxyType({"a": MappingProxyType({"b": 1})}), '{"a": {"b": 1}}'),
        (Path("/tmp/x"), "/tmp/x"),
        ({"at": datetime(2026, 1, 2, tzinfo=UTC)}, '{"at": "2026-01-02 00:00:00+00:00"}'),
        (Decimal("1.50"), "1.50"),
        ({(1, 2): 3}, "{(1, 2): 3}"),
    ],
)
def test_the_text_of_values(value: object, text: str) -> None:
    assert text_of(value) == text
