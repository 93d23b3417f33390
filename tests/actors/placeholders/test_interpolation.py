"""Placeholders take their values from the context, once, and leave everything else as it is."""

from __future__ import annotations

import json
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine_engine.actors.placeholders.interpolation import MISSING, interpolate, resolve

CONTEXT: dict[str, Any] = {
    "id": "job_1",
    "n": 7,
    "half": 0.5,
    "yes": True,
    "nothing": None,
    "empty": "",
    "files": ["a.png", {"name": "b"}],
    "event_data": {"payload": {"user": {"name": "Zoë"}, "content-type": "text/plain", "größe": 3}},
    "braces": "{id} {{n}}",
    "length": "a key, not a filter",
}

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
templates = st.lists(
    st.sampled_from(
        ["{", "}", "{{", "}}", "{{{", "a", "b.0", "c-d", "|", ":", "default:", "int", "json", "join:", "'", '"']
    )
    | st.sampled_from(["{a}", "{b.0}", "{a|b|upper}", "{x|default:'q w'}", " ", "$", "\n", "\0", "é"])
    | st.text(max_size=4),
    max_size=12,
).map("".join)


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("job {id}", "job job_1"),
        ("{id}-{n}", "job_1-7"),
        ("{event_data.payload.user.name}!", "Zoë!"),
        ("{event_data.payload.content-type}!", "text/plain!"),
        ("{event_data.payload.größe} cm", "3 cm"),
        ("first {files.0}", "first a.png"),
        ("second {files.1.name}", "second b"),
        ("{nothing|missing|n} left", "7 left"),
        ("{empty|n} is not null", " is not null"),
        ("{length}", "a key, not a filter"),
        ("{half} {yes}", "0.5 true"),
        ("user {event_data.payload.user}", 'user {"name": "Zoë"}'),
        ("${n} each", "$7 each"),
        ("\\{n}", "\\7"),
    ],
)
def test_placeholders_in_text_become_text(template: str, filled: str) -> None:
    assert interpolate(template, CONTEXT) == filled


@pytest.mark.parametrize("name", ["n", "half", "yes", "empty", "files", "event_data"])
def test_a_placeholder_alone_keeps_the_type_of_its_value(name: str) -> None:
    assert interpolate(f"{{{name}}}", CONTEXT) == CONTEXT[name]
    assert type(interpolate(f"{{{name}}}", CONTEXT)) is type(CONTEXT[name])


@pytest.mark.parametrize(
    "template",
    [
        "{missing}",
        "see {missing}",
        "{nothing}",
        "see {nothing}",
        "{files.2}",
        "{files.99999999999999999999}",
        "{files.-1}",
        "{files.name}",
        "{id.upper}",
        "{event_data.payload.user.name.0}",
        "{id|int}",
        "a {files|upper}",
        "{missing|nothing}",
    ],
)
def test_a_placeholder_without_a_value_stays_as_it_is_written(template: str) -> None:
    assert interpolate(template, CONTEXT) == template


@pytest.mark.parametrize(
    "template",
    [
        "{{ .Names }}",
        "{{.ID}}",
        "{{range .Mounts}}{{.Source}}{{else}}-{{end}}",
        "awk '{print $1}'",
        "jq '{name: .id, n}'",
        '{"id": 1}',
        "{a,b} {1..3} {a..e} a{2}",
        "{} {{}} { id } {id }",
        "{n|no such thing}",
        "{n|upper:x}",
        "{n|default}",
        "{n|files:x}",
        "{n||id}",
        "{.id} {id.} {id..n} {0}",
        "{n|default:a b}",
    ],
)
def test_all_other_braces_stay_as_they_are_written(template: str) -> None:
    assert interpolate(template, CONTEXT) == template


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("{{n}}", "{n}"),
        ("a {{id}} and {id}", "a {id} and job_1"),
        ("{{files|length}}", "{files|length}"),
        ("{{end}}", "{end}"),
        ("{{{n}}}", "{7}"),
        ("\\frac{{{n}}}{{{half}}}", "\\frac{7}{0.5}"),
        ('{"n":{n}}', '{"n":7}'),
        ('{"a":{"n":{n}}}', '{"a":{"n":7}}'),
    ],
)
def test_doubled_braces_are_the_literal_and_tripled_ones_a_value_in_braces(template: str, filled: str) -> None:
    assert interpolate(template, CONTEXT) == filled


def test_values_are_never_expanded_again() -> None:
    assert interpolate("{braces} {braces}", CONTEXT) == "{id} {{n}} {id} {{n}}"
    assert interpolate("{braces}", CONTEXT) == "{id} {{n}}"


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{missing|default:none}", "none"),
        ("{missing|default:'not given'}", "not given"),
        ('{missing|default:"}"}', "}"),
        ("{missing|default:}", ""),
        ("{nothing|default:0}", 0),
        ("{missing|default:-1.50}", -1.5),
        ("{missing|default:'0'}", "0"),
        ("{missing|default:true}", True),
        ("{missing|default:007}", "007"),
        ("{missing|default:/tmp/x:y}", "/tmp/x:y"),
        ("{missing|default:1.50}s", "1.50s"),
        ("{n|default:0}", 7),
        ("{id|int|default:0}", 0),
        ("{id|int|n}", 7),
        ("{missing|length|default:0}", 0),
        ("{missing|n|default:1}", 7),
    ],
)
def test_a_default_stands_in_where_there_is_no_value(template: str, value: object) -> None:
    result = interpolate(template, CONTEXT)
    assert result == value
    assert type(result) is type(value)


def test_strings_are_filled_in_at_any_depth_but_not_in_keys() -> None:
    given_value = {"{id}": ["{n}", ["{id}", {"x": ("{n}", "a{n}")}]], "k": 1, "m": MappingProxyType({"y": "{n}"})}
    assert interpolate(given_value, CONTEXT) == {
        "{id}": [7, ["job_1", {"x": (7, "a7")}]],
        "k": 1,
        "m": {"y": 7},
    }


def test_changing_a_result_does_not_change_the_context() -> None:
    context = {"items": [{"n": 1}]}
    items = interpolate("{items}", context)
    items[0]["n"] = 2
    items.append(3)
    assert context == {"items": [{"n": 1}]}


def test_attributes_of_objects_are_no_data() -> None:
    context = {"o": SimpleNamespace(secret=1), "t": (5, 6)}
    assert interpolate("{o.secret} {o.__class__} {t.1}", context) == "{o.secret} {o.__class__} 6"
    assert interpolate("{o}", context) is context["o"]


def test_what_has_no_text_stays_as_it_is_written() -> None:
    circular: list[object] = []
    circular.append(circular)
    assert interpolate("a {x}", {"x": circular}) == "a {x}"
    assert interpolate("{x}", {"x": circular}) is circular


def test_resolve_looks_up_one_expression() -> None:
    assert resolve("event_data.payload.user.name|upper", CONTEXT) == "ZOË"
    assert resolve("nothing", CONTEXT) is None
    assert resolve("missing", CONTEXT) is MISSING
    assert resolve("no expression", CONTEXT) is MISSING
    assert resolve("missing|default:3", CONTEXT) == 3
    assert repr(MISSING) == "MISSING"


@given(st.text().filter(lambda text: "{" not in text), st.dictionaries(st.text(), json_values))
def test_text_without_braces_is_returned_unchanged(text: str, context: dict[str, Any]) -> None:
    assert interpolate(text, context) == text


@given(templates, st.dictionaries(st.sampled_from(["a", "b", "c-d", "x", "int"]), json_values))
def test_no_template_and_no_context_raises(template: str, context: dict[str, Any]) -> None:
    assert len(interpolate([template, {"k": template}], context)) == 2


@given(json_values)
def test_any_value_keeps_its_type_alone_and_is_json_in_text(value: Any) -> None:
    if value is None:
        return
    in_text = interpolate("<{x}>", {"x": value})
    assert repr(interpolate("{x}", {"x": value})) == repr(value)
    assert in_text == f"<{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}>"
