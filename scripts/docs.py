"""Write the parts of docs/ that are made from the code; with --check, only list the stale pages (exit code 1).

A page marks such a part: `<!-- made: keys bash -->` … `<!-- /made -->`. Everything else in it is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from inspect import cleandoc
from pathlib import Path
from typing import Any

import click

from statemachine_engine.actors.actions.registry import builtin
from statemachine_engine.actors.lint.json_schema import schema
from statemachine_engine.cli import diagrams, events, run, ui, validate
from statemachine_engine.cli.db.main import db
from statemachine_engine.cli.system.main import system

DOCS = Path(__file__).resolve().parents[1] / "docs"
PART = re.compile(r"(<!-- made: (.+?) -->\n).*?(<!-- /made -->)", re.DOTALL)
PROGRAMS: Mapping[str, click.Command] = {
    "statemachine": run.run,
    "statemachine-db": db,
    "statemachine-system": system,
    "statemachine-ui": ui.ui,
    "statemachine-events": events.events,
    "statemachine-validate": validate.validate,
    "statemachine-lint": validate.lint,
    "statemachine-diagrams": diagrams.diagrams,
    "python -m statemachine_engine.monitoring.websocket_server": ui.websocket_server,
}
EVERYWHERE = ("--help", "--version", "--debug", "--db", "--manifest")
"""Options that the page explains once."""


def main() -> int:
    """Write the pages that are stale, or list them with --check; return the exit code."""
    check = "--check" in sys.argv
    stale = [path for path in sorted(DOCS.glob("*.md")) if path.read_text(encoding="utf-8") != made(path)]
    for path in stale:
        if check:
            print(f"stale: docs/{path.name}: run scripts/docs.py", file=sys.stderr)
        else:
            path.write_text(made(path), encoding="utf-8")
            print(f"wrote docs/{path.name}")
    described = (DOCS / "cli-reference.md").read_text(encoding="utf-8")
    missing = [name for name, _, _ in all_commands() if f"<!-- made: command {name} -->" not in described]
    for name in missing:
        print(f"docs/cli-reference.md lacks <!-- made: command {name} --> and <!-- /made -->", file=sys.stderr)
    return 1 if missing or (stale and check) else 0


def made(page: Path) -> str:
    """Return the page with its made parts up to date."""
    return PART.sub(lambda found: f"{found[1]}\n{part(found[2])}\n{found[3]}", page.read_text(encoding="utf-8"))


def part(name: str) -> str:
    """Return a made part: `keys ACTION`, `section NAME` or `command NAME`."""
    kind, _, rest = name.partition(" ")
    makers: Mapping[str, Callable[[str], str]] = {"keys": action_keys, "section": section, "command": command_section}
    return makers[kind](rest)


# Actions


def action_keys(name: str) -> str:
    """Return the table of an action's keys, and its events."""
    action = builtin(name)
    rows = [(named(key, action.required_keys), text) for key, text in action.keys.items()]
    known: Any = action.events or {}
    caused = [f"`{event}` (`{key}`)" for key, names in known.items() for event in in_tuple(names) if event]
    return "\n".join([*table(("key", "meaning"), rows), "", f"Events: {', '.join(caused) or 'none'}.", ""])


def in_tuple(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


# The YAML language


def section(name: str) -> str:
    """Return the keys of a section of the schema, such as `states` or `schedules.job`, with their values."""
    whole = schema()
    found: Mapping[str, Any] = whole
    for key in [] if name == "machine" else name.split("."):
        found = mapping_in(found["properties"].get(key) or whole["$defs"][key], whole)
    needed = found.get("required", ())
    rows = [
        (named(key, needed), shape(value, whole), value.get("description", ""))
        for key, value in found["properties"].items()
    ]
    return "\n".join(table(("key", "value", "meaning"), rows)) + "\n"


def mapping_in(found: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the first mapping with named keys below a schema."""
    waiting = [found]
    while waiting:
        here = waiting.pop(0)
        if "properties" in here and here.get("type") == "object":
            return here
        if "$ref" in here:
            waiting.append(whole["$defs"][here["$ref"].rpartition("/")[2]])
        waiting += [*here.get("anyOf", ()), *(here[key] for key in ("items", "additionalProperties") if here.get(key))]
    raise KeyError("no mapping")


WORDS = {
    "name": "name",
    "state_name": "state",
    "variable": "variable",
    "text": "text",
    "flag": "`true` or `false`",
    "duration": "duration",
    "event_name": "event",
    "event_or_none": "event",
    "metadata": "map",
    "final": "list or map",
    "action": "action",
    "actions": "list of actions",
    "retry": "map",
    "transition": "transition",
}


def shape(found: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    """Return the allowed values in a few words."""
    if "$ref" in found:
        name = found["$ref"].rpartition("/")[2]
        return WORDS.get(name) or shape(whole["$defs"][name], whole)
    if "anyOf" in found:
        return " or ".join(dict.fromkeys(word for one in found["anyOf"] if (word := shape(one, whole))))
    if "enum" in found and len(found["enum"]) > 9:
        return "name"
    if "enum" in found:
        return " or ".join(code(value) for value in found["enum"] if value is not None)
    kinds = in_tuple(found["type"]) if isinstance(found.get("type"), str) else found.get("type", ["any"])
    names = {"string": "text", "array": "list", "object": "map", "null": "", "integer": "whole number"}
    return " or ".join(word for kind in kinds if (word := names.get(kind, kind)))


# Commands


def all_commands() -> Iterator[tuple[str, click.Command, click.Context | None]]:
    """Yield every command and subcommand: its full name, the command, and the context of the command above it."""
    for name, command in PROGRAMS.items():
        yield name, command, None
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=name)
            for below in command.list_commands(context):
                found = command.get_command(context, below)
                assert found is not None, below
                yield f"{name} {below}", found, context


def command_section(wanted: str) -> str:
    """Return how a command is called, what it does, and its options."""
    command, above = next((command, above) for name, command, above in all_commands() if name == wanted)
    context = click.Context(command, above, info_name=wanted.rpartition(" ")[2])
    usage = code(" ".join([wanted, *command.collect_usage_pieces(context)]))
    options = [param.get_help_record(context) for param in command.params if is_own(param)]
    rows = [(code(row[0]), row[1]) for row in options if row]
    parts = [f"{'##' if above is None else '###'} {wanted}", usage, *help_texts(command)]
    if rows:
        parts.append("\n".join(table(("option", "meaning"), rows)))
    return "\n\n".join(parts) + "\n"


def help_texts(command: click.Command) -> Iterator[str]:
    """Yield the paragraphs of a help text, with its examples fenced."""
    for paragraph in cleandoc(command.help or "").split("\n\n"):
        if not paragraph.startswith("\b"):
            yield " ".join(paragraph.split())
            continue
        lines = [line.strip() for line in paragraph.splitlines()[1:]]
        if lines[0] == "Example:":
            yield "```text\n" + "\n".join(lines[1:]) + "\n```"
        else:
            yield " ".join(lines)


def is_own(param: click.Parameter) -> bool:
    return isinstance(param, click.Option) and not param.hidden and not set(param.opts) & set(EVERYWHERE)


# Markdown


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    for row in (heads, tuple("---" for _ in heads), *rows):
        yield "| " + " | ".join(map(cell, row)) + " |"


def cell(text: str) -> str:
    """Return the text for a table cell; outside of code, Markdown's special characters are escaped."""
    pieces = re.split(r"(`[^`]*`)", " ".join(text.split()))
    plain = [re.sub(r"[<*]", r"\\\g<0>", piece) if not piece.startswith("`") else piece for piece in pieces]
    return "".join(plain).replace("|", r"\|")


def code(text: object) -> str:
    return f"`{text}`"


def named(key: str, needed: Collection[str]) -> str:
    return f"{code(key)} (needed)" if key in needed else code(key)


if __name__ == "__main__":
    raise SystemExit(main())
