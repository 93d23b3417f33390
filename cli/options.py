"""The options that commands share, and the values that they take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .drivers import without_drivers

if TYPE_CHECKING:
    from ..storage.engine.database import Database

    ParamType = click.ParamType[Any, Any]
else:
    ParamType = click.ParamType  # in click's older versions it takes no type arguments

F = TypeVar("F", bound=Callable[..., Any])

_DB = "statemachine_engine.db"


@contextmanager
def database(*, create: bool = False, durable: bool = False) -> Iterator[Database]:
    """The database that --db (the subcommand's, else the group's), STATEMACHINE_DB or the default names.

    Unless it is to be made it has to be there, if somebody named it. In the usual place there may be none yet: then it
    is answered as an empty one is.
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


def db_given() -> str | None:
    """What --db says: the subcommand's, else the group's, else None."""
    given: str | None = click.get_current_context().meta.get(_DB)
    return given


def db_option(function: F) -> F:
    """`--db URL|PATH`, on the group and on each of its commands alike."""

    def remember(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
        if value is not None:
            ctx.meta[_DB] = value

    return click.option(
        "--db",
        metavar="URL|PATH",
        type=Name(),
        expose_value=False,
        callback=remember,
        help="Database: a path, sqlite:///… or postgresql://… [default: $STATEMACHINE_DB, else data/pipeline.db]",
    )(function)


def format_option(function: F) -> F:
    """`--format table|json`, handed over as `fmt`."""
    choice = click.Choice(["table", "json"])
    return click.option("--format", "fmt", type=choice, default="table", show_default=True, help="Output form.")(
        function
    )


def limit_option(default: int = 20) -> Callable[[F], F]:
    """`--limit N`."""
    return click.option(
        "--limit", type=click.IntRange(min=0), default=default, show_default=True, help="At most so many rows."
    )


def socket_options(function: F) -> F:
    """`--control-socket-prefix` and `--event-socket-path`: flag, else environment, else the usual place."""
    for flag, variable, what in (
        ("--event-socket-path", "STATEMACHINE_EVENT_SOCKET", "Socket of the monitor."),
        ("--control-socket-prefix", "STATEMACHINE_CONTROL_PREFIX", "Machines listen on PREFIX-NAME.sock."),
    ):
        kind = "PATH" if flag.endswith("path") else "PREFIX"
        function = click.option(flag, envvar=variable, default=None, metavar=kind, help=what)(function)
    return function


#: bytes that `@FILE` may have: more JSON than the 16 MiB that the store takes, however it is indented
MOST_READ = 64 * 1024 * 1024


class JsonValue(ParamType):
    """A command-line value in JSON; `@FILE` reads it from a file, `@-` from standard input.

    A shell's single argument ends at 128 KiB on Linux, and others can see it in the list of processes.
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


class KeyValue(ParamType):
    """`key=value`: the value as JSON where it is JSON, as text where it is not."""

    name = "KEY=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        if isinstance(value, tuple):
            return value[0], value[1]
        key, equals, text = value.partition("=")
        if not equals or not key:
            self.fail(f"write key=value, not {value!r}", param, ctx)
        from ..storage.strictjson import parse

        try:
            return key, parse(text)
        except ValueError:
            return key, text


class Name(ParamType):
    """A name or id: any text but the empty one, which an unset shell variable leaves behind."""

    name = "TEXT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not str(value).strip():
            self.fail("it is empty (an unset shell variable?)", param, ctx)
        return str(value)


class Seconds(ParamType):
    """A duration: 10, .5, 90s, 1m30s, 2h."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from ..actors.definition.model import parse_duration

        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Moment(ParamType):
    """A point in time as epoch seconds: `2026-11-24 08:00`, with a zone or in this host's, or `08:00`, the next one."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        from datetime import datetime, timedelta

        from ..storage.clock import system_clock

        now = datetime.fromtimestamp(system_clock.now())
        text = value.strip()
        try:
            if ":" in text[:3]:
                moment = datetime.fromisoformat(f"{now:%Y-%m-%d}T{text:0>5}")
                return (moment if moment > now else moment + timedelta(days=1)).timestamp()
            return datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError, OSError):
            self.fail(f"{value!r} is no time; write 2026-11-24 08:00, 2026-11-24T08:00:00Z or 08:00", param, ctx)


def _cut(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
