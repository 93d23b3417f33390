"""Values of the shared options."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from statemachine_engine.cli.options import JsonValue, KeyValue, Name, db_given, db_option
from statemachine_engine.cli.program import Program


@click.command("tool", cls=Program)
@click.option("--payload", type=JsonValue("payload"))
@click.option("--start", type=JsonValue("start", only_object=True))
@click.option("--context", type=KeyValue(), multiple=True)
@click.option("--id", "name", type=Name())
def tool(payload: object, start: object, context: object, name: str | None) -> None:
    click.echo(repr((payload, start, dict(context) if isinstance(context, tuple) else context, name)))


def run(*args: str) -> Result:
    return CliRunner().invoke(tool, args, prog_name="tool")


def test_json_of_any_kind_is_a_payload() -> None:
    assert run("--payload", "[1, null]", "--start", '{"a": 1}').output == "([1, None], {'a': 1}, {}, None)\n"


@pytest.mark.parametrize("wrong", ["{a: 1}", "", "NaN", "{'a': 1}", '{"a": 1e999}'])
def test_invalid_json_is_a_usage_error_that_says_where(wrong: str) -> None:
    result = run("--payload", wrong)

    assert result.exit_code == 2
    assert "Invalid JSON payload: " in result.stderr
    assert result.stderr.count("\n") == 1


def test_json_may_come_from_a_file_or_from_standard_input(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('\ufeff{"a": "ü"}\n', encoding="utf-8")

    assert run("--payload", f"@{tmp_path}/p.json").output == "({'a': 'ü'}, None, {}, None)\n"
    piped = CliRunner().invoke(tool, ["--payload", "@-"], input='{"a": 1}')
    assert piped.output == "({'a': 1}, None, {}, None)\n"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none", "payload: cannot read {}/none: No such file or directory"),
        (".", "payload: cannot read {}/.: Is a directory"),
        ("latin", "payload: {}/latin is not UTF-8 text, from byte 2 on"),
        ("wrong", "Invalid JSON payload: "),
        ("huge", "payload: {}/huge has more than 64 MiB"),
    ],
)
def test_a_file_that_is_no_json_is_a_usage_error(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "latin").write_bytes(b'["\xe4"]')
    (tmp_path / "wrong").write_text("{a: 1}")
    with (tmp_path / "huge").open("wb") as huge:
        huge.truncate((64 << 20) + 1)

    result = run("--payload", f"@{tmp_path}/{name}")

    assert result.exit_code == 2
    assert said.format(tmp_path) in result.stderr
    assert result.stderr.count("\n") == 1


def test_where_an_object_is_wanted_nothing_else_will_do() -> None:
    result = run("--start", "[1]")

    assert result.exit_code == 2
    assert "Invalid JSON start: an object {…} is wanted; got [1]" in result.stderr


def test_context_values_are_json_where_they_can_be_and_text_otherwise() -> None:
    result = run("--context", "n=5", "--context", "s=hello world", "--context", 'o={"k": true}', "--context", "e=a=b")

    assert result.output == "(None, None, {'n': 5, 's': 'hello world', 'o': {'k': True}, 'e': 'a=b'}, None)\n"


@pytest.mark.parametrize("wrong", ["novalue", "=5"])
def test_a_context_value_without_a_key_is_refused(wrong: str) -> None:
    result = run("--context", wrong)

    assert result.exit_code == 2
    assert "write key=value" in result.stderr


def test_an_empty_id_is_refused() -> None:
    result = run("--id", " ")

    assert result.exit_code == 2
    assert "empty" in result.stderr


def test_the_subcommands_db_wins_over_the_groups() -> None:
    @click.group()
    @db_option
    def group() -> None:
        pass

    @group.command()
    @db_option
    def where() -> None:
        click.echo(db_given())

    def asked(*args: str) -> str:
        return CliRunner().invoke(group, args).output.strip()

    assert asked("where") == ""
    assert asked("--db", "a.db", "where") == "a.db"
    assert asked("--db", "a.db", "where", "--db", "b.db") == "b.db"
