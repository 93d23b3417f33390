from __future__ import annotations

import pytest

from statemachine_engine.storage.strictjson import parse


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[NaN]", "NaN is not JSON"),
        ("[Infinity]", "Infinity is not JSON"),
        ("1e999", "1e999 is not JSON"),
        ('{"a": 1, "a": 2}', "two keys of one name"),
        ('{"a": }', "Expecting value: line 1 column 7"),
        ("[" * 100_000, "nested more than 64 levels deep"),
    ],
)
def test_what_is_not_quite_json_is_refused_with_what_is_wrong(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse(text)


def test_values_come_as_python_has_them() -> None:
    assert parse('{"a": [1, 2.5, null, true, "ü"]}') == {"a": [1, 2.5, None, True, "ü"]}
