"""Output of commands: tables for people, aligned text for pipes, JSON for programs."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from ..storage.names import UNSAFE, escaped
from .program import Failure

if TYPE_CHECKING:
    from rich.table import Table

#: json.dumps escapes characters below space; the line breaks of its indentation must stay
UNSAFE_IN_JSON = re.compile(UNSAFE.pattern.replace(r"\x00-\x1f", "", 1))

Row = Mapping[str, Any]
Column = tuple[str, str | Callable[[Row], Any]]
"""A heading, and the row's key or a function that returns the cell."""


def show(rows: Sequence[Row], columns: Sequence[Column], *, fmt: str, empty: str) -> None:
    """Print rows as a table or as JSON; print `empty` instead of a table without rows."""
    if fmt == "json":
        show_json(list(rows))
    elif not rows:
        click.echo(empty)
    elif sys.stdout is None or not sys.stdout.isatty():
        _plain(columns, rows)
    else:
        from rich.console import Console

        Console().print(rich_table(columns, rows))


def rich_table(columns: Sequence[Column], rows: Iterable[Row], *, one_line: bool = False, **layout: Any) -> Table:
    """Return the table for a terminal; `one_line` cuts long cells, otherwise they are folded, to be copied whole."""
    from rich.table import Table
    from rich.text import Text

    table = Table(**layout)
    for heading, _ in columns:
        table.add_column(heading, overflow="ellipsis" if one_line else "fold", no_wrap=one_line)
    for row in rows:
        table.add_row(*map(Text, _line(columns, row)))
    return table


def show_json(value: Any) -> None:
    """Print one indented JSON document."""
    click.echo(json_text(value, indent=2))


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Return JSON in which characters that could control a terminal are escaped; the values stay the same."""
    plain = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    return UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found.group()):04x}", plain)


def show_fields(title: str, fields: Iterable[tuple[str, Any]]) -> None:
    """Print a title and one indented `Name: value` line for each field that is not None."""
    click.echo(title)
    for name, value in fields:
        if value is not None:
            click.echo(f"  {name}: {text(value)}")


def text(value: Any) -> str:
    """Return a value on one line: None is empty, structures are JSON, control characters are escaped."""
    if value is None:
        return ""
    plain = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return plain if plain.isprintable() else escaped(plain)


def cut(value: Any, limit: int) -> str:
    """Return `text(value)`, shortened to `limit` characters."""
    whole = text(value)
    return whole if len(whole) <= limit else whole[: limit - 3] + "..."


def moment(epoch: float | None) -> str | None:
    """Return epoch seconds as UTC text, in the form of the database's columns."""
    if epoch is None:
        return None
    from ..storage.clock import to_text

    return to_text(epoch)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[str]]:
    """Open a file that appears under its name once it is complete, or standard output for `-`.

    Raises Failure if it cannot be written.
    """
    from shutil import copymode

    if str(path) == "-":
        with click.open_file("-", "w", encoding="utf-8") as stdout:
            yield stdout
        return
    target = path.resolve()
    fresh = target.with_name(f".{target.name[:100]}.{os.getpid()}.tmp")
    try:
        with fresh.open("w", encoding="utf-8", newline="") as file:
            if target.exists():
                copymode(target, fresh)
            yield file
        fresh.replace(target)
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}; see that its folder is there and can be written"
        raise Failure(message) from error
    finally:
        with suppress(OSError):
            fresh.unlink()


def counted(count: int, what: str) -> str:
    """Return `1 job`, `2 jobs`; the plural is made with an s."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def yes(flag: bool) -> str:
    """Return "yes" or "no"."""
    return "yes" if flag else "no"


def _line(columns: Sequence[Column], row: Row) -> list[str]:
    return [text(row.get(source) if isinstance(source, str) else source(row)) for _, source in columns]


def _plain(columns: Sequence[Column], rows: Sequence[Row]) -> None:
    lines = [[heading for heading, _ in columns], *(_line(columns, row) for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def _width(cell: str) -> int:
    """Return the number of terminal columns; wide characters such as emoji take two."""
    if cell.isascii():
        return len(cell)
    from rich.cells import cell_len

    return cell_len(cell)
