"""Secrets are masked in every text that leaves the process."""

from __future__ import annotations

import json
import subprocess
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from statemachine_engine.storage import masking
from statemachine_engine.storage.masking import mask, masked, masked_in
from statemachine_engine.storage.payload import clean, dumps, loads


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin and end each test without a masked value."""
    monkeypatch.setattr(masking, "_pattern", None)
    monkeypatch.setattr(masking, "_forms", set())


def test_without_secrets_data_is_returned_as_it_is() -> None:
    data = {"a": ["b"]}

    assert masked_in(data) is data
    assert masked("text") == "text"


def test_a_secret_is_masked_in_every_common_form() -> None:
    value = 'p"ä\n/?x'
    mask(value)
    forms = [value, json.dumps(value), json.dumps(value, ensure_ascii=False), "https://h/?k=p%22%C3%A4%0A%2F%3Fx"]

    assert [masked(f"<{form}>") for form in forms] == ["<***>", '<"***">', '<"***">', "<https://h/?k=***>"]


@pytest.mark.parametrize("value", ["it's", 'say "it"', """it's "both" \\ \x1b""", "plain-one"])
def test_a_secret_is_masked_in_a_repr_of_python_and_in_the_trace_of_a_shell(value: str) -> None:
    mask(value)
    in_data = repr([f"<{value}>", f"'{value}\""])
    trace = subprocess.run(["bash", "-xc", 'echo "$1" "$2"', "-", value, json.dumps([value])], capture_output=True)

    assert [text.strip("\"'") for text in masked(in_data)[1:-1].split(", ")] == ["<***>", r"\'***"]
    assert masked(trace.stderr.decode()).replace("'", "").replace("$", "") == '+ echo *** ["***"]\n'


@pytest.mark.parametrize("value", ["pässwörd", 'it\'s "bäth" \\ñ/+ x', "no\udcffutf8", "\ud800half"])
def test_a_secret_is_masked_where_its_characters_are_escaped(value: str) -> None:
    mask(value)
    in_bytes = value.encode("utf-8", "surrogatepass" if "\ud800" in value else "surrogateescape")
    forms = [repr(in_bytes), repr([in_bytes, 1]), ascii(value), quote(in_bytes), quote_plus(in_bytes)]

    assert [masked(form).replace('"', "'") for form in forms] == ["b'***'", "[b'***', 1]", "'***'", "***", "***"]


def test_each_long_line_of_a_secret_is_masked_by_itself() -> None:
    mask("-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n}\n")

    assert masked("+ echo '-----BEGIN KEY-----\n") == "+ echo '***\n"
    assert masked("MIIEvQIBADANBgkq }") == "*** }"


def test_a_secret_that_begins_another_leaves_no_rest_of_it() -> None:
    mask("hunter2")
    mask("hunter2000")

    assert masked("hunter2000 hunter2") == "*** ***"


def test_a_short_value_cannot_be_masked() -> None:
    mask("abc")

    assert masked("abcd") == "abcd"


def test_texts_in_data_are_masked_as_keys_and_values_and_numbers_stay_numbers() -> None:
    mask("12345")
    data = {"12345": [("x 12345", 12345.5)], "n": 12345, "none": None}

    assert masked_in(data) == {"***": [["x ***", 12345.5]], "n": 12345, "none": None}
    assert loads(dumps({"at": 1712345678.5, "said": "12345"})) == {"at": 1712345678.5, "said": "***"}


def test_objects_that_json_lacks_are_masked_in_the_text_that_they_become() -> None:
    mask("swordfish")
    endless: dict[str, Any] = {"key": "swordfish"}
    endless["self"] = endless

    assert "swordfish" not in dumps(
        {"error": ValueError("swordfish"), "nan": float("nan"), "a": ValueError("swordfish")}
    )
    assert "swordfish" not in dumps(endless)
    assert clean("why: swordfish") == "why: ***"


def test_data_that_is_too_deep_is_masked_as_a_whole() -> None:
    mask("swordfish")
    deep: Any = "swordfish"
    for _ in range(5000):
        deep = [deep]

    assert masked_in({"deep": deep}) == "***"
    assert masked_in([["swordfish"]]) == [["***"]]
