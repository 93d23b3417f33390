"""Every command explains itself, shows how it is used, and lists as JSON what it lists."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import suppress
from glob import glob
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from statemachine_engine.cli.db.main import db
from statemachine_engine.cli.diagrams import diagrams
from statemachine_engine.cli.events import events
from statemachine_engine.cli.run import run
from statemachine_engine.cli.system.main import system
from statemachine_engine.cli.ui import ui, websocket_server
from statemachine_engine.cli.validate import lint, validate

PROGRAMS: dict[str, click.Command] = {
    "statemachine": run,
    "statemachine-validate": validate,
    "statemachine-lint": lint,
    "statemachine-diagrams": diagrams,
    "statemachine-events": events,
    "statemachine-ui": ui,
    "statemachine-db": db,
    "statemachine-system": system,
    "python -m statemachine_engine.monitoring.websocket_server": websocket_server,
}
LIST_NOTHING = {
    "statemachine", "statemachine-ui", "python -m statemachine_engine.monitoring.websocket_server",
    "statemachine-db", "statemachine-system",
    *(f"statemachine-system {name}" for name in ("up", "down", "restart", "logs", "systemd")),
    *(f"statemachine-db {name}" for name in (
        "complete-job", "fail-job", "retry", "cancel", "release", "remove-job", "send-event", "crontab", "cleanup",
        "cleanup-events", "reset-processing", "recreate-database",
    )),
}  # fmt: skip
"""They do something and say so in a line, or write a text of a form of its own."""
FILES = (
    "config/worker.yaml", "controller.yaml", "worker.yaml", "jobs.jsonl", "photos.csv", "path/to/document.pdf",
    "path/to/project/actions/x",
)  # fmt: skip


def commands() -> list[tuple[str, click.Command]]:
    found = list(PROGRAMS.items())
    for program, group in (("statemachine-db", db), ("statemachine-system", system)):
        context = click.Context(group)
        below = [(name, group.get_command(context, name)) for name in group.list_commands(context)]
        found += [(f"{program} {name}", command) for name, command in below if command is not None]
    return found


def examples() -> list[str]:
    """Return the example lines of all help texts, with continued lines joined."""
    texts = [(command.help or "").replace("\\\n", " ") for _, command in commands()]
    blocks = [text.partition("Example:\n")[2].partition("\n\n")[0] for text in texts]
    return sorted({line.strip() for block in blocks for line in block.splitlines() if line.strip()})


@pytest.mark.parametrize(("line", "command"), commands())
def test_a_command_has_a_summary_and_an_example_line_of_itself(line: str, command: click.Command) -> None:
    help_text = command.help or ""

    assert help_text.splitlines()[0].rstrip(".:")
    assert "Example:" in help_text
    assert any(line in text for text in help_text.partition("Example:")[2].splitlines())


@pytest.mark.parametrize("example", examples())
def test_an_example_is_accepted_by_the_command_that_it_calls(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    calls = list(calls_in(example.replace("/path/to", f"{tmp_path}/path/to")))

    assert calls
    for program, arguments in calls:
        parse(PROGRAMS[program], program, arguments)


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


@pytest.mark.parametrize(("line", "command"), commands())
def test_what_lists_has_a_format_for_programs(line: str, command: click.Command) -> None:
    formats = [param.type for param in command.params if {"--format", "--as"} & set(param.opts)]
    choices = [choice for kind in formats if isinstance(kind, click.Choice) for choice in kind.choices]

    assert ({"json", "jsonl", "svg"} & set(choices) == set()) is (line in LIST_NOTHING)


@pytest.mark.parametrize(
    "command",
    [
        "status", "list", "list-events", "process-events nobody", "machine-state", "machine-status", "machine-health",
        "transition-history", "error-history", "list-errors", "controller-log", "schedules", "watch --once",
        "prune --older-than 1d",
    ],
)  # fmt: skip
def test_a_listing_of_nothing_says_so_and_is_json_for_programs(place: Any, command: str) -> None:
    place.db("status")

    assert place.db(*command.split()).output.strip()
    assert json.loads(place.db(*command.split(), "--format", "json").stdout) is not None


def test_no_summary_is_cut_or_wrapped_in_the_overview() -> None:
    summaries = [command.get_short_help_str(limit=200) for line, command in commands() if line.count(" ") == 1]

    assert [summary for summary in summaries if len(summary) > 56] == []


@pytest.mark.parametrize("group", [db, system])
def test_every_attribute_behind_a_name_is_the_command_of_that_name(group: click.Group) -> None:
    context = click.Context(group)

    assert [getattr(group.get_command(context, name), "name", None) for name in group.list_commands(context)] == (
        group.list_commands(context)
    )


# Helpers


def calls_in(example: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the calls of our programs in a shell line, as (program, arguments)."""
    lexer = shlex.shlex(example, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, "|"]:
        if set(word) <= set("();<>|&"):
            yield from call_of(words)
            words = []
        elif word.startswith("statemachine") and " " in word:
            yield from calls_in(word)
        else:
            words += sorted(glob(word)) if "*.yaml" in word else [word]


def call_of(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    for program in PROGRAMS:
        size = len(program.split())
        at = next((at for at in range(len(words)) if words[at : at + size] == program.split()), None)
        if at is not None:
            yield program, words[at + size :]


def parse(command: click.Command, name: str, arguments: list[str]) -> None:
    """Parse a command line as click does before it runs a command. Raises click.UsageError."""
    with suppress(click.exceptions.Exit):  # --help and the like
        context = command.make_context(name, arguments)
        if isinstance(command, click.Group):
            below, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
            assert found is not None
            found.make_context(below, rest, parent=context)


@pytest.mark.parametrize("name", ["statemachine", "statemachine-db", "statemachine-system", "statemachine-events"])
def test_the_version_can_be_asked_for(name: str) -> None:
    result = CliRunner().invoke(PROGRAMS[name], ["--version"], prog_name=name)
    assert result.stdout == f"{name}, version {version('statemachine-engine')}\n"
