"""Every command explains itself and shows how it is used."""

from __future__ import annotations

import click
import pytest

from statemachine_engine.cli.db import db
from statemachine_engine.cli.events import events
from statemachine_engine.cli.run import run
from statemachine_engine.cli.system import system
from statemachine_engine.cli.validate import lint, validate


def commands() -> list[tuple[str, click.Command]]:
    programs: list[tuple[str, click.Command]] = [
        ("statemachine", run),
        ("statemachine-validate", validate),
        ("statemachine-lint", lint),
        ("statemachine-events", events),
        ("statemachine-db", db),
        ("statemachine-system", system),
    ]
    for program, group in (("statemachine-db", db), ("statemachine-system", system)):
        context = click.Context(group)
        found = [(name, group.get_command(context, name)) for name in group.list_commands(context)]
        programs += [(f"{program} {name}", command) for name, command in found if command is not None]
    return programs


@pytest.mark.parametrize(("line", "command"), commands())
def test_a_command_has_a_summary_and_an_example_line_of_itself(line: str, command: click.Command) -> None:
    help_text = command.help or ""

    assert help_text.splitlines()[0].rstrip(".:")
    assert "Example:" in help_text
    assert any(text.strip().startswith(line) for text in help_text.splitlines())


@pytest.mark.parametrize(("line", "command"), commands())
def test_every_option_of_a_command_is_explained(line: str, command: click.Command) -> None:
    unexplained = [
        option.opts[0]
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden and not option.help
    ]

    assert unexplained == []


@pytest.mark.parametrize("command", [command for line, command in commands() if line.startswith("statemachine-db")])
def test_every_database_command_takes_db(command: click.Command) -> None:
    assert "--db" in {flag for option in command.params for flag in option.opts}


def test_no_summary_is_cut_or_wrapped_in_the_overview() -> None:
    summaries = [command.get_short_help_str(limit=200) for line, command in commands() if " " in line]

    assert [summary for summary in summaries if len(summary) > 56] == []


@pytest.mark.parametrize("group", [db, system])
def test_every_attribute_behind_a_name_is_the_command_of_that_name(group: click.Group) -> None:
    context = click.Context(group)

    assert [getattr(group.get_command(context, name), "name", None) for name in group.list_commands(context)] == (
        group.list_commands(context)
    )
