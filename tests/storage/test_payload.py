"""Payloads as JSON text."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from statemachine_engine.storage.payload import clean, dumps, loads

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_json_comes_back_as_it_was(value: Any) -> None:
    assert loads(dumps(value)) == value


def test_what_json_cannot_say_becomes_text_or_null() -> None:
    circle: list[Any] = []
    circle.append(circle)

    assert loads(dumps({"path": object})) == {"path": "<class 'object'>"}
    assert loads(dumps({(1, 2): float("inf"), "t": (1, b"x")})) == {"(1, 2)": None, "t": [1, "b'x'"]}
    assert isinstance(json.loads(dumps(circle)), list)
    assert loads(dumps({10**5000: [-(16**5000)]})) == {hex(10**5000): ["-0x1" + "0" * 5000]}


def test_a_text_that_is_no_json_is_the_value() -> None:
    assert loads("{broken") == "{broken"
    assert loads("[" * 100_000) == "[" * 100_000
    assert loads(None) is None


@given(st.text())
def test_a_cleaned_text_can_be_stored(text: str) -> None:
    assert "\0" not in clean(text + "\0\ud800")
    assert clean(text + "\ud800").encode()
