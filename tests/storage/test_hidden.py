"""Values that must not show, in whatever text they stand."""

from __future__ import annotations

import json
import subprocess
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from statemachine_engine.storage import hidden
from statemachine_engine.storage.hidden import hide, masked, masked_in
from statemachine_engine.storage.payload import clean, dumps, loads


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins with nothing hidden, and leaves nothing hidden behind."""
    monkeypatch.setattr(hidden, "_pattern", None)
    monkeypatch.setattr(hidden, "_forms", set())


def test_where_nothing_is_hidden_nothing_is_done() -> None:
    data = {"a": ["b"]}

    assert masked_in(data) is data
    assert masked("text") == "text"


def test_a_hidden_value_does_not_show_in_any_form_that_it_commonly_has() -> None:
    value = 'p"ä\n/?x'
    hide(value)
    forms = [value, json.dumps(value), json.dumps(value, ensure_ascii=False), "https://h/?k=p%22%C3%A4%0A%2F%3Fx"]

    assert [masked(f"<{form}>") for form in forms] == ["<***>", '<"***">', '<"***">', "<https://h/?k=***>"]


@pytest.mark.parametrize("value", ["it's", 'say "it"', """it's "both" \\ \x1b""", "plain-one"])
def test_a_hidden_value_does_not_show_in_python_s_repr_nor_in_a_shell_s_trace(value: str) -> None:
    hide(value)
    in_data = repr([f"<{value}>", f"'{value}\""])
    trace = subprocess.run(["bash", "-xc", 'echo "$1" "$2"', "-", value, json.dumps([value])], capture_output=True)

    assert [text.strip("\"'") for text in masked(in_data)[1:-1].split(", ")] == ["<***>", r"\'***"]
    assert masked(trace.stderr.decode()).replace("'", "").replace("$", "") == '+ echo *** ["***"]\n'


@pytest.mark.parametrize("value", ["pässwörd", 'it\'s "bäth" \\ñ/+ x', "no\udcffutf8", "\ud800half"])
def test_a_hidden_value_does_not_show_where_its_letters_are_escaped(value: str) -> None:
    hide(value)
    in_bytes = value.encode("utf-8", "surrogatepass" if "\ud800" in value else "surrogateescape")
    forms = [repr(in_bytes), repr([in_bytes, 1]), ascii(value), quote(in_bytes), quote_plus(in_bytes)]

    assert [masked(form).replace('"', "'") for form in forms] == ["b'***'", "[b'***', 1]", "'***'", "***", "***"]


def test_a_line_of_a_hidden_value_does_not_show_by_itself_unless_it_is_short() -> None:
    hide("-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n}\n")

    assert masked("+ echo '-----BEGIN KEY-----\n") == "+ echo '***\n"
    assert masked("MIIEvQIBADANBgkq }") == "*** }"


def test_a_value_that_another_contains_leaves_nothing_of_it() -> None:
    hide("hunter2")
    hide("hunter2000")

    assert masked("hunter2000 hunter2") == "*** ***"


def test_a_short_value_cannot_be_hidden() -> None:
    hide("abc")

    assert masked("abcd") == "abcd"


def test_texts_in_data_are_hidden_as_keys_and_values_and_numbers_stay_numbers() -> None:
    hide("12345")
    data = {"12345": [("x 12345", 12345.5)], "n": 12345, "none": None}

    assert masked_in(data) == {"***": [["x ***", 12345.5]], "n": 12345, "none": None}
    assert loads(dumps({"at": 1712345678.5, "said": "12345"})) == {"at": 1712345678.5, "said": "***"}


def test_what_json_cannot_say_is_hidden_as_the_text_that_it_becomes() -> None:
    hide("swordfish")
    endless: dict[str, Any] = {"key": "swordfish"}
    endless["self"] = endless

    assert "swordfish" not in dumps(
        {"error": ValueError("swordfish"), "nan": float("nan"), "a": ValueError("swordfish")}
    )
    assert "swordfish" not in dumps(endless)
    assert clean("why: swordfish") == "why: ***"


def test_what_is_too_deep_to_be_looked_through_is_hidden_as_a_whole() -> None:
    hide("swordfish")
    deep: Any = "swordfish"
    for _ in range(5000):
        deep = [deep]

    assert masked_in({"deep": deep}) == "***"
    assert masked_in([["swordfish"]]) == [["***"]]
