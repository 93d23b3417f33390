"""`statemachine-db` commands about what is done by the clock."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..options import database, db_given, db_option, output_options
from ..output import Column, moment, show, yes
from ..program import Failure

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ...storage.schedules import ScheduleRow

#: longest command in bytes; cron refuses the whole file if a line is longer
LONGEST_COMMAND = 998

#: variables of this shell that cron does not pass on
CARRIED = ("STATEMACHINE_CONTROL_PREFIX", "STATEMACHINE_EVENT_SOCKET")

COLUMNS: list[Column] = [
    ("Schedule", "schedule_id"),
    ("Cron", "cron"),
    ("Does", "what"),
    ("Next", lambda row: ", ".join(row["next_local"])),
    ("Followed", lambda row: yes(row["followed"])),
    ("Last", lambda row: moment(row["last_at"])),
    ("Result", "last_result"),
    ("Fired", "fired"),
]


@click.command("schedules")
@click.option(
    "--next", "count", type=click.IntRange(min=1, max=100), default=1, show_default=True, help="Number of runs to show."
)
@click.option("--machine", metavar="NAME", help="Only schedules of this machine.")
@click.option("--forget", metavar="SCHEDULE", help="Delete this schedule; its machine stores it again when it starts.")
@output_options
def schedules(count: int, machine: str | None, forget: str | None, fmt: str) -> None:
    """List the next runs of the machines' `schedules:`.

    A schedule is followed if a machine that has it runs.

    \b
    Example:
      statemachine-db schedules --next 3
    """
    from ...storage import schedules as stored

    with database() as db:
        if forget is not None:
            if not stored.remove(db, forget):
                raise Failure(f"Schedule {forget} not found (statemachine-db schedules lists them)", prefix="")
            click.echo(f"✅ Schedule {forget} forgotten")
            return
        followed = _followed(db)
        rows = [
            _row(row, count, followed, db.now())
            for row in stored.list_(db)
            if machine in (None, row.machine_name)
        ]  # fmt: skip
    show(rows, COLUMNS, fmt=fmt, empty="No schedules found (a machine stores its schedules when it starts)")


@click.command("crontab", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("expression")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, required=True)
@click.option(
    "--log", metavar="FILE", default="logs/cron.log", show_default=True, help="File that collects its output."
)
@click.option("--user", metavar="NAME", help="Print a line for /etc/cron.d, which names the user to run as.")
@db_option
@click.pass_context
def crontab(ctx: click.Context, /, expression: str, command: Sequence[str], log: str, user: str | None) -> None:
    """Print a crontab line that runs a COMMAND.

    COMMAND is a command of statemachine-db. It runs in this folder, with this database. The line works in cron's
    minimal environment: paths are absolute, values are quoted, and % is escaped. Times are in the host's time zone.

    \b
    Example:
      statemachine-db crontab '0 2 * * *' add-job 'report-{date}' --type report --if-absent
      (crontab -l; statemachine-db crontab @hourly add-job --type scan --unique-key scan) | crontab -
    """
    _check_expression(expression)
    settings = _settings()
    _check_command(ctx, command)
    folder, log_file = Path.cwd(), Path(log).expanduser().absolute()
    mkdir = shlex.quote(shutil.which("mkdir") or "/bin/mkdir")
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in settings.items())
    line = (
        f"cd {shlex.quote(str(folder))} && umask 077 && {mkdir} -p {shlex.quote(str(log_file.parent))} && "
        f"{variables} {shlex.join([_program(), *command])} >>{shlex.quote(str(log_file))} 2>&1"
    )
    if not line.isprintable():
        raise Failure("a crontab line cannot hold line breaks and control characters; write the payload without them")
    escaped = line.replace("%", r"\%")
    if len(escaped.encode()) > LONGEST_COMMAND:
        message = f"the command has {len(escaped.encode())} bytes, and cron takes {LONGEST_COMMAND}"
        raise Failure(f"{message}: put it into a script and name that in the crontab")
    click.echo(" ".join(filter(None, [expression, user, escaped])))
    for note in _notes(command, settings):
        click.echo(f"note: {note}", err=True)


# Helpers


def _row(row: ScheduleRow, count: int, followed: set[str], now: float) -> dict[str, Any]:
    runs = list(_runs(row, count, now))
    return {
        **row.as_dict(),
        "next_at": moment(row.next_at),
        "last_at": moment(row.last_at),
        "next_runs": [moment(run) for run in runs],
        "next_local": [_local(run, row.timezone) for run in runs],
        "followed": row.machine_name in followed or f"config:{row.config_type}" in followed,
    }


def _runs(row: ScheduleRow, count: int, now: float) -> Iterator[float]:
    """Yield the next runs; the first is the one that the schedule waits for, which may be overdue."""
    from ...actors.definition.cron import Cron

    if row.next_at is None:
        return
    yield row.next_at
    yield from islice(Cron(row.cron, row.timezone).firings(max(row.next_at, now)), count - 1)


def _local(run: float, timezone: str) -> str:
    from datetime import datetime

    from ...actors.definition.cron import zone_of

    return f"{datetime.fromtimestamp(run, zone_of(timezone)):%Y-%m-%d %H:%M %Z}"


def _followed(db: Database) -> set[str]:
    """Return the names of running machines, and `config:` with the types of their configurations."""
    from .machines import machine_rows

    running = [row for row in machine_rows(db) if row["running"]]
    return {row["machine_name"] for row in running} | {f"config:{row['config_type']}" for row in running}


def _check_expression(expression: str) -> None:
    from ...actors.definition.cron import Cron

    if expression == "@reboot":
        return
    try:
        Cron(expression)
    except ValueError as error:
        raise click.UsageError(
            f"{expression!r} is not a cron expression: {error}; write for example '0 2 * * *'"
        ) from error
    day_of_month, _, day_of_week = (expression.upper().split()[2:] + [""] * 3)[:3]
    if "L" in day_of_month or "L" in day_of_week or "#" in day_of_week:
        raise click.UsageError(f"{expression!r}: cron supports neither L nor #; `schedules:` in a machine's file does")


def _check_command(ctx: click.Context, command: Sequence[str]) -> None:
    """Parse the command without running it, so that a mistake is found now and not at night."""
    group = ctx.parent.command if ctx.parent else None
    assert isinstance(group, click.Group)
    name, *args = command
    found = group.get_command(ctx, name)
    if found is None:
        known = ", ".join(group.list_commands(ctx))
        raise click.UsageError(f"{name!r} is not a statemachine-db command; commands: {known}")
    with click.Context(group, info_name="statemachine-db") as parent:
        found.make_context(name, args, parent=parent)


def _settings() -> Mapping[str, str]:
    """Return the variables that the line sets."""
    from ...storage.engine.database import URL_VARIABLE, resolve_url
    from ...storage.engine.sqlite import sqlite_path

    url = resolve_url(db_given())
    if url.startswith("sqlite:"):
        path = sqlite_path(url)
        if path is None:
            raise Failure("a database in memory does not outlive this command; name a file with --db")
        url = str(path)
    return {URL_VARIABLE: url, **{name: os.environ[name] for name in CARRIED if os.environ.get(name)}}


def _program() -> str:
    """Return the path of statemachine-db in this installation."""
    folders = [os.path.dirname(sys.executable), sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]
    found = shutil.which("statemachine-db", path=os.pathsep.join(folders))
    if found is None:
        raise Failure("statemachine-db is not installed as a command here: pip install statemachine-engine")
    return str(Path(found).absolute())


def _notes(command: Sequence[str], settings: Mapping[str, str]) -> Iterator[str]:
    from urllib.parse import urlsplit

    if any("://" in value and urlsplit(value).password for value in settings.values()):
        yield "the line holds the database's password; put it into ~/.pgpass instead"
    if command[0] == "add-job" and "--if-absent" not in command:
        ids = [word for word in command[1:2] if not word.startswith("-")]
        if ids and "{" not in ids[0]:
            yield f"a job {ids[0]} can be added once; leave the id out, or write {ids[0]}-{{datetime}}"
