"""Options that commands share, and the types of their values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .drivers import without_drivers

if TYPE_CHECKING:
    from pathlib import Path

    from ..storage.engine.database import Database

    ParamType = click.ParamType[Any, Any]
else:
    ParamType = click.ParamType  # not generic in older versions of click

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[Any], Any]

_DB = "statemachine_engine.db"


def stacked(*decorators: Decorator) -> Decorator:
    """Return one decorator that applies all of these; the first one's option is listed first."""

    def apply(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


def inherited_option(key: str, flag: str, **settings: Any) -> Decorator:
    """Return an option for a group and its commands; the innermost value given is in `ctx.meta[key]`."""

    def remember(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        if value is not None:
            ctx.meta[key] = value

    return click.option(flag, expose_value=False, callback=remember, **settings)


@contextmanager
def database(*, create: bool = False, durable: bool = False) -> Iterator[Database]:
    """Open the database that `--db`, STATEMACHINE_DB or the default names; close it at the end of the block.

    A missing database is an error (DatabaseMissing) if it was named explicitly. At the default path it may be missing:
    then an empty one in memory is opened, so that a listing prints no rows. `create` makes the file in both cases.
    """
    from ..storage.engine.database import Database, is_named
    from ..storage.errors import DatabaseMissing

    try:
        db = Database.open(db_given(), create=create, durable=durable)
    except DatabaseMissing as error:
        if is_named(db_given()):
            raise
        click.echo(f"Nothing is here yet: {error}", err=True)
        db = Database.open(":memory:")
    with closing(db), nullcontext() if db.is_postgres else without_drivers():
        yield db


def existing_folder(actions_dir: Path | None) -> Path | None:
    """Return the folder of `--actions-dir` as an absolute path; UsageError if it does not exist."""
    folder = None if actions_dir is None else actions_dir.expanduser().resolve()
    if folder is not None and not folder.is_dir():
        raise click.UsageError(f"--actions-dir {actions_dir}: no such folder")
    return folder


def db_given() -> str | None:
    """Return the value of `--db`, the command's before the group's; None if neither was given."""
    given: str | None = click.get_current_context().meta.get(_DB)
    return given


class TextType(ParamType):
    """A type whose texts `parse` converts; a ValueError of it is wrong usage."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self.parse(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def parse(self, text: str) -> Any:
        """Return the value of the option. Raises ValueError with what is wrong."""
        raise NotImplementedError


class Name(TextType):
    """A name or id; the empty text that an unset shell variable leaves behind is refused."""

    name = "TEXT"

    def parse(self, text: str) -> str:
        if not text.strip():
            raise ValueError("it is empty (an unset shell variable?)")
        return text


db_option = inherited_option(
    _DB, "--db", metavar="URL|PATH", type=Name(),
    help="Database: a path, sqlite:///… or postgresql://… [default: $STATEMACHINE_DB, else data/pipeline.db]",
)  # fmt: skip

format_option = click.option(
    "--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Output form."
)

#: options of every command that reads the database and prints
output_options = stacked(db_option, format_option)

socket_options = stacked(
    click.option(
        "--control-socket-prefix", envvar="STATEMACHINE_CONTROL_PREFIX", metavar="PREFIX",
        help="Machines listen on PREFIX-NAME.sock.",
    ),
    click.option(
        "--event-socket-path", envvar="STATEMACHINE_EVENT_SOCKET", metavar="PATH", help="Socket of the monitor."
    ),
)  # fmt: skip


def list_options(limit: int) -> Decorator:
    """Return `--limit`, `--db` and `--format`, as every command takes that lists rows."""
    at_most = click.option(
        "--limit", type=click.IntRange(min=0), default=limit, show_default=True, help="Print at most N rows."
    )
    return stacked(at_most, output_options)


#: largest `@FILE` in bytes; the store takes 16 MiB, and indented JSON is longer
MOST_READ = 64 * 1024 * 1024


class JsonValue(ParamType):
    """A command-line value in JSON; `@FILE` reads it from a file, `@-` from standard input.

    Linux limits a single argument to 128 KiB, and other users can read arguments in the process list.
    """

    name = "JSON"

    def __init__(self, what: str, *, only_object: bool = False) -> None:
        self.what = what
        self.only_object = only_object

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        if value.startswith("@"):
            value = self._read(value[1:], ctx)
        from ..storage.strictjson import parse

        try:
            parsed = parse(value)
        except ValueError as error:
            raise click.UsageError(f"Invalid JSON {self.what}: {error}; got {_cut(value)}", ctx) from error
        if self.only_object and not isinstance(parsed, dict):
            raise click.UsageError(f"Invalid JSON {self.what}: an object {{…}} is wanted; got {_cut(value)}", ctx)
        return parsed

    def _read(self, name: str, ctx: click.Context | None) -> str:
        try:
            with click.open_file(name, "rb") as file:
                data = file.read(MOST_READ + 1)
            text = str(data, "utf-8-sig")
        except OSError as error:
            raise click.UsageError(f"{self.what}: cannot read {name or '@'}: {error.strerror}", ctx) from error
        except UnicodeDecodeError as error:
            raise click.UsageError(f"{self.what}: {name} is not UTF-8 text, from byte {error.start} on", ctx) from error
        if len(data) > MOST_READ:
            raise click.UsageError(f"{self.what}: {name} has more than {MOST_READ >> 20} MiB", ctx)
        return text


class KeyValue(TextType):
    """`key=value`: the value is JSON where it parses as JSON, else text."""

    name = "KEY=VALUE"

    def parse(self, text: str) -> tuple[str, Any]:
        from ..storage.strictjson import parse

        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ValueError(f"write key=value, not {text!r}")
        try:
            return key, parse(value)
        except ValueError:
            return key, value


class Seconds(TextType):
    """A duration such as 10, .5, 90s, 1m30s or 2h, in seconds."""

    name = "DURATION"

    def parse(self, text: str) -> float:
        from ..actors.definition.model import parse_duration

        return parse_duration(text)


class Moment(TextType):
    """A point in time in epoch seconds.

    Accepts `2026-11-24 08:00`, with a zone or in this host's zone, and `08:00`, which is its next occurrence.
    """

    name = "TIME"

    def parse(self, text: str) -> float:
        from datetime import datetime, timedelta

        from ..storage.clock import system_clock

        now = datetime.fromtimestamp(system_clock.now())
        wanted = text.strip()
        try:
            if ":" in wanted[:3]:
                moment = datetime.fromisoformat(f"{now:%Y-%m-%d}T{wanted:0>5}")
                return (moment if moment > now else moment + timedelta(days=1)).timestamp()
            return datetime.fromisoformat(wanted).timestamp()
        except (ValueError, OverflowError, OSError):
            message = f"{text!r} is no time; write 2026-11-24 08:00, 2026-11-24T08:00:00Z or 08:00"
            raise ValueError(message) from None


def _cut(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
