"""In arithmetic, bash evaluates text as code: only integers may stand there, also by way of a variable."""

from __future__ import annotations

import pytest

from statemachine_engine.actors.shell.shell import ShellValueError, rewrite

VALUES = {"v": "a[$(id)]", "n": "007", "word": "plain"}


@pytest.mark.parametrize(
    "command",
    [
        "echo $(( {v} ))",
        'echo "$((1 + {v}))"',
        "echo $[ {v} ]",
        "(( x = {v} ))",
        "for (( i = 0; i < {v}; i++ )); do :; done",
        "let x={v}",
        "let 'x = {v} + 1'",
        "declare -i x={v}",
        "declare -i x; x={v}",
        "x={v}; declare -i x",
        "local -ri x={v}",
        "RANDOM={v}",
        "echo ${x:{v}}",
        'echo "${x:1:{v}}"',
        "echo ${@:{v}}",
        "[[ {v} -eq 1 ]]",
        "[[ 1 -lt {v} ]]",
        "[[ x == y || ( '{v}' -ge 1 ) ]]",
        "x={v}; echo $((x + 1))",
        'x={v}; echo $(( ${x} + "$y" ))',
        "x={v}; (( x++ ))",
        "x={v}; [[ $x -gt 3 ]]",
        "x={v}; let y=x",
        "x+={v}; echo ${y:x}",
        "for x in 1 {v}; do echo $((x)); done",
        "printf -v x %s {v}; echo $((x))",
        "read x y <<< {v}; echo $((y))",
        "export x={v}; echo $((x))",
    ],
)
def test_only_an_integer_may_stand_in_arithmetic(command: str) -> None:
    with pytest.raises(ShellValueError, match="{v} stands in shell arithmetic"):
        rewrite(command, VALUES)
    assert rewrite(command.replace("{v}", "{n}"), VALUES).text == command.replace("{v}", "7")


@pytest.mark.parametrize(
    "command",
    [
        "a[{v}]=1",
        "a[x + {v}]+=1",
        "x=1 a[{v}]=2 cmd",
        "a=([{v}]=1)",
        "echo ${a[{v}]}",
        'echo "${#a[{v}]}"',
        "unset a[{v}]",
        "read 'a[{v}]'",
        "x={v}; echo ${a[x]}",
        "x={v}; a[$x]=1",
    ],
)
def test_only_an_integer_may_stand_in_the_subscript_of_an_array(command: str) -> None:
    with pytest.raises(ShellValueError, match="{v} stands in"):
        rewrite(command, VALUES)
    assert rewrite(command.replace("{v}", "{n}"), VALUES).text == command.replace("{v}", "7")


def test_any_value_may_stand_in_the_subscript_of_an_associative_array() -> None:
    command = rewrite('declare -A m; m[{v}]=1; m+=([{v}]={v}); k={v}; echo ${m[{v}]} "${m[{v}]}" ${m[$k]}', VALUES)
    assert command.text == (
        'declare -A m; m["${SM_V1}"]=1; m+=(["${SM_V1}"]="${SM_V1}"); k="${SM_V1}"; '
        'echo ${m["${SM_V1}"]} "${m[${SM_V1}]}" ${m[$k]}'
    )


@pytest.mark.parametrize(
    "command",
    [
        "PS4={v}",
        "x={v}; echo ${!x}",
        'x={v}; echo "${x@P}"',
        "declare -a x={v}",
        "x=(); declare x={v}",
        "local -A x={v}",
        "echo >& {v}",
        "echo 2>&{v}",
        "{ echo; } >&{v}",
    ],
)
def test_other_ways_of_evaluating_a_value_take_only_harmless_ones(command: str) -> None:
    with pytest.raises(ShellValueError, match="only letters"):
        rewrite(command, VALUES)
    assert rewrite(command.replace("{v}", "{word}"), VALUES).env == {"SM_V1": "plain"}


@pytest.mark.parametrize(
    "command",
    [
        "x={v}; echo $x ${x} ${#x} $(( ${#x} + 1 ))",
        "x={v}; echo $(( $(wc -l < $x) ))",
        "echo $(( $(wc -l < {v}) + 1 ))",
        "(( $(wc -l < '{v}') > 3 ))",
        "[[ {v} == x && 1 -eq 1 ]]",
        "[[ {v} =~ ^(a|b)$ ]]",
        "[[ -f {v} ]]; echo -eq {v}",
        "$((echo {v}); (echo 1))",
        "((echo {v}); (echo 1))",
        "case {v} in a[x]*|{v}) echo {v};; [{v}]*) ;; esac",
        "ls foo[{v}]*; ls [{v}]",
        "a=({v} x{v}); for f in {v}; do echo $f; done",
        "echo {v} >& 2 > {v} 2>&1 &> {v}; echo x",
        "echo $x:{v} ${x:-{v}} ${x#{v}}",
        "select x in {v}; do break; done",
    ],
)
def test_look_alikes_take_any_value(command: str) -> None:
    assert rewrite(command, VALUES).env == {"SM_V1": "a[$(id)]"}
