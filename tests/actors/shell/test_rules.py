"""Text that a shell evaluates may contain only harmless values; at other places any value may stand."""

from __future__ import annotations

import pytest

from statemachine_engine.actors.shell.shell import ShellValueError, rewrite

VALUES = {"v": "a[$(id)]", "n": 7, "word": "plain"}


@pytest.mark.parametrize(
    "command",
    [
        "eval echo {v}",
        "eval 'echo {v}'",
        "command eval {v}",
        "$SUDO eval {v}",
        '"$x"${y}$(z)`z`eval {v}',
        "x=1 eval {v}",
        "if eval {v}; then :; fi",
        "! eval {v}",
        "f() { eval {v}; }",
        "function f { eval {v}; }",
        "(eval {v})",
        'echo "$(eval {v})"',
        "case x in x) eval {v};; esac",
        "true && eval {v}",
        "true 2>&1 | eval {v}",
        "eval >log {v}",
        "eval <<A {v}\nA",
        "trap 'rm {v}' EXIT",
        "alias x={v}",
        "compgen -W {v}",
        "sh -c {v}",
        "/bin/bash -ec 'echo {v}'",
        'bash -o pipefail -c "echo {v}"',
        "bash --rcfile x -c -- {v}",
        "$SHELL -c {v}",
        "${RUN:-bash -c} {v}",
        "sudo -u me bash -c 'echo {v}'",
        "find . -exec sh -c 'echo {v}' _ {} ;",
        "docker exec box sh -c {v}",
        "su me -c {v}",
        "ssh host ls {v}",
        "ssh -p 22 {v}",
        "bash <<A\necho {v}\nA",
        "bash -s x <<'A'\necho {v}\nA",
        "ssh -p 22 host <<A\necho {v}\nA",
        "ssh host bash <<A\necho {v}\nA",
        "ssh <<A\n{v}\nA",
        "sh <<< 'echo {v}'",
    ],
)
def test_a_value_that_would_be_evaluated_is_refused(command: str) -> None:
    with pytest.raises(ShellValueError, match="{v} stands in text that a shell evaluates"):
        rewrite(command, VALUES)
    assert rewrite(command.replace("{v}", "{word}"), VALUES).env == {"SM_V1": "plain"}


@pytest.mark.parametrize(
    "command",
    [
        "unset {v}",
        "read -r {v}",
        "mapfile -t {v}",
        "printf -v {v} x",
        "test -v {v}",
        "[ -v {v} ]",
        "[[ -v {v} ]]",
        "declare {v}",
        "local {v}=1",
        "declare -n x={v}",
    ],
)
def test_a_value_that_would_name_a_variable_is_refused(command: str) -> None:
    with pytest.raises(ShellValueError, match="{v} stands as the name of a shell variable"):
        rewrite(command, VALUES)
    assert rewrite(command.replace("{v}", "{word}"), VALUES).env == {"SM_V1": "plain"}


@pytest.mark.parametrize(
    "command",
    [
        "echo eval {v}",
        "bash script.sh {v}",
        "bash -x script.sh -c {v}",
        "bash -c 'echo \"$1\"' _ {v}",
        "sh -s {v} < script",
        "grep -c {v}",
        "ssh host 'cat > x' <<A\n{v}\nA",
        "bash script.sh <<A\n{v}\nA",
        "bash -c 'cat' <<< {v}",
        "cat <<A\n{v}\nA",
        "printf '%s' {v}",
        "[ {v} = x ]",
        "[ {v} -eq 1 ]",
        "export X={v}",
        "local x={v} y={v}",
        "echo 1; echo {v}",
        "echo {v} && eval x",
        "python3 -c 'import sys' {v}",
        "evaluate {v}; ./eval {v}",
        "{v} read {v}",
    ],
)
def test_any_value_may_be_an_argument_or_an_input(command: str) -> None:
    assert rewrite(command, VALUES).env == {"SM_V1": "a[$(id)]"}
