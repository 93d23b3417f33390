"""Commands are rewritten to refer to their values, which travel in the environment."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine_engine.actors.errors import MachineError
from statemachine_engine.actors.shell.shell import MAX_BYTES, ShellCommand, ShellValueError, rewrite

CONTEXT: dict[str, Any] = {
    "x": "a b",
    "n": 7,
    "list": ["é", 1],
    "none": None,
    "script": "echo hi; exit 3",
    "octal": "010",
}


def test_values_travel_in_the_environment_and_the_command_refers_to_them() -> None:
    command = rewrite("convert {x} -resize {n}x{n} 'out of {x}.png'", CONTEXT)
    assert command == ShellCommand(
        """convert "${SM_V1}" -resize "${SM_V2}"x"${SM_V2}" 'out of '"${SM_V1}"'.png'""",
        {"SM_V1": "a b", "SM_V2": "7"},
    )


def test_other_values_than_strings_travel_as_json() -> None:
    assert rewrite("{list} {list.0|upper} {list|length}", CONTEXT).env == {
        "SM_V1": '["é", 1]',
        "SM_V2": "É",
        "SM_V3": "2",
    }


def test_names_of_variables_never_meet_those_of_the_command() -> None:
    assert rewrite("SM_V1=x; echo $SM_V_1 {n}", CONTEXT).env == {"SM_V__1": "7"}


@pytest.mark.parametrize(
    "command",
    [
        'echo ${x} "${n}" ${x:-1} ${x.y} $x',
        "awk '{print $1}' | jq '{a: .b}' | sed 's/a{2}//'",
        "docker ps --format '{{.Names}} {{ .ID }}'",
        "echo {a,b} {1..3} {} \\{x} \\{\\}",
        "f() { echo; }; { echo; }",
        "echo {missing} \"{missing}\" '{none}' $(( {missing} ))",
        "exec {fd}>file",
        "# {x} and {x|raw}\necho",
        "echo # {x}",
    ],
)
def test_text_without_a_value_stays_as_it_is_written(command: str) -> None:
    assert rewrite(command, {**CONTEXT, "fd": None}).text == command


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="{\0")))
def test_a_command_without_placeholders_is_returned_unchanged(command: str) -> None:
    assert rewrite(command, CONTEXT) == ShellCommand(command, {})


def test_a_missing_placeholder_that_would_be_shell_syntax_is_passed_as_text() -> None:
    command = rewrite("echo {a|b} ${z:-{missing}}", CONTEXT)
    assert command.text == 'echo "${SM_V1}" ${z:-"${SM_V2}"}'
    assert command.env == {"SM_V1": "{a|b}", "SM_V2": "{missing}"}


def test_doubled_braces_are_the_literal() -> None:
    assert rewrite("awk '{{n}}' {{x}} ${{HOME}} {{{n}}}", CONTEXT).text == "awk '{n}' {x} ${HOME} {\"${SM_V1}\"}"


def test_raw_pastes_program_text() -> None:
    assert rewrite("sh -c '{script|raw}'; {script|raw}", CONTEXT) == ShellCommand(
        "sh -c 'echo hi; exit 3'; echo hi; exit 3", {}
    )


def test_bounds_of_a_range_are_digits() -> None:
    assert rewrite("echo {1..{n}} {{n}..9} {{n}..{octal}} {1..{x}}", CONTEXT).text == (
        'echo {1..7} {7..9} {7..10} {1.."${SM_V3}"}'
    )
    with pytest.raises(ShellValueError, match="range of numbers"):
        rewrite("echo {1..{n}}", {"n": 10**30})


@pytest.mark.parametrize("value", [7, -7, "7", "+7", "-07", "9223372036854775807"])
def test_an_integer_may_stand_in_arithmetic(value: object) -> None:
    assert rewrite("echo $(( {v} ))", {"v": value}).text == f"echo $(( {int(str(value))} ))"


@pytest.mark.parametrize("value", ["x", "1+1", "", "7 ", "0x7", 7.5, True, [7], "a[$(id)]", 2**63, "٣"])
def test_only_an_integer_may_stand_in_arithmetic(value: object) -> None:
    with pytest.raises(ShellValueError, match="{v} stands in shell arithmetic.*has to be an integer"):
        rewrite("echo $(( {v} ))", {"v": value})


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a\0b", "NUL byte"),
        ("\ud800", "surrogate"),
        ("a" * (MAX_BYTES + 1), "use stdin:"),
        ("é" * (MAX_BYTES // 2 + 1), f"is {2 * (MAX_BYTES // 2 + 1)} bytes long"),
    ],
)
def test_a_value_that_no_program_can_receive_is_refused_by_name(value: str, reason: str) -> None:
    with pytest.raises(ShellValueError, match=reason) as caught:
        rewrite("echo {v}", {"v": value})
    assert caught.value.placeholder == "{v}"
    assert str(caught.value).startswith("{v} ")
    assert isinstance(caught.value, MachineError)


def test_a_command_that_is_too_long_is_refused() -> None:
    with pytest.raises(ShellValueError, match="the command is .* bytes long"):
        rewrite("{v|raw}{v|raw}", {"v": "a" * MAX_BYTES})
    with pytest.raises(ShellValueError, match="the command contains a NUL byte"):
        rewrite("echo '\0'", {})


def test_a_long_value_passes_up_to_the_limit() -> None:
    assert rewrite("echo {v}", {"v": "é" * (MAX_BYTES // 2)}).env["SM_V1"].startswith("é")


def test_a_command_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(ShellValueError, match="nested too deeply"):
        rewrite("$(" * 5000 + "{x}", CONTEXT)


@pytest.mark.parametrize("value", ["photo.png", "/data/in/a-b_c.png", "user@host:22", "", "ünï", "50%"])
def test_harmless_values_may_stand_in_evaluated_text(value: str) -> None:
    assert rewrite("sh -c 'ls {v}'", {"v": value}).env == {"SM_V1": value}


@pytest.mark.parametrize("value", ["a b", "a;b", "$x", "`id`", "a\n", "*", "~", "a=b", "SM_V1", "'", "(", "{a,b}"])
def test_other_values_are_refused_in_evaluated_text(value: str) -> None:
    with pytest.raises(ShellValueError, match="{v} stands in text that a shell evaluates: only letters"):
        rewrite("sh -c 'ls {v}'", {"v": value})


FRAGMENTS = [
    *"'\"`\\$(){}[]<>|&;#\n \t=!*?@~-+:/%^,.",
    *("{x}", "{n}", "{{x}}", "{{{x}}}", "{x|raw}", "{a|b|default:'q'}"),
    *(
        "$(",
        "$((",
        "))",
        "${",
        "${x:-",
        "${x:",
        "${x[",
        "${x/",
        "$[",
        "$'",
        "((",
        "[[",
        "]]",
        " -eq ",
        "a[",
        "]=",
        "x=(",
    ),
    *("case x in ", "esac", ";;", "for i in ", "function f ", "eval ", "sh -c ", "declare -A ", "é", "a", "1"),
    *("<<E\n", "<<'E'\n", "<<-\\E\n", "\nE\n", "<<<"),
]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join))
def test_no_syntax_breaks_the_rewriting(template: str) -> None:
    try:
        command = rewrite(template, CONTEXT)
    except ShellValueError:
        return
    assert all(f"${{{name}}}" in command.text for name in command.env)


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join))
def test_commands_keep_their_own_text_where_no_placeholder_has_a_value(template: str) -> None:
    if not any(mark in template for mark in ("{{", "|", "${", "<<", "`", "@(", "!(")):
        assert rewrite(template, {}).text == template
