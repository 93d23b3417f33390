from __future__ import annotations

import pytest

from statemachine_engine.storage.strictjson import parse


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[NaN]", "NaN is not JSON"),
        ("[Infinity]", "Infinity is not JSON"),
        ("1e999", "1e999 is not JSON"),
        ("1" * 100_000 + ".5", "^1{20}… is not JSON"),
        ("-" + "1" * 100, "^a whole number of more than 100 digits: -1{19}…$"),
        ("9" * 1_000_000, "^a whole number of more than 100 digits: 9{20}…$"),
        ('{"a": 1, "a": 2}', "two keys of one name"),
        ('{"a": }', "Expecting value: line 1 column 7"),
        ("[" * 100_000, "nested more than 64 levels deep"),
    ],
)
def test_what_is_not_quite_json_is_refused_with_what_is_wrong(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse(text)


def test_the_longest_whole_number_that_is_taken() -> None:
    assert parse("-" + "9" * 99) == -(10**99) + 1


def test_values_come_as_python_has_them() -> None:
    assert parse('{"a": [1, 2.5, null, true, "ü"]}') == {"a": [1, 2.5, None, True, "ü"]}
