"""`statemachine-db watch`: machines, jobs and what happens, on one screen."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from ..options import Seconds, db_given, db_option
from ..output import moment, show_json
from .jobs import STATUSES

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ...storage.engine.database import Database

MOST_MACHINES = 30
MOST_CHANGES = 12


@click.command("watch")
@click.option("--interval", type=Seconds(), default="1s", show_default=True, help="Time between two looks.")
@click.option("--once", is_flag=True, help="Look once and exit, as it also does where there is no terminal.")
@click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", help="json: one look as JSON.")
@db_option
def watch(interval: float, once: bool, fmt: str) -> None:
    """Watch machines, jobs and state changes on one screen.

    It goes on until Ctrl-C, and only reads.

    \b
    Example:
      statemachine-db watch
      statemachine-db watch --once --format json
    """
    from ...storage.engine.database import Database

    with Database.open(db_given(), create=False) as db:
        if fmt == "json":
            show_json(_look(db))
        elif once or not sys.stdout.isatty():
            _print(_look(db))
        else:
            _live(db, max(interval, 0.1))


# Helpers


def _look(db: Database) -> dict[str, Any]:
    from ...storage import audit, jobs, schedules
    from .machines import machine_rows

    changes = audit.transitions(db, limit=MOST_CHANGES)
    return {
        "at": moment(db.now()),
        "database": str(db),
        "jobs": {status: jobs.counts(db).get(status, 0) for status in STATUSES},
        "machines": machine_rows(db),
        "transitions": [change.as_dict() for change in changes],
        "schedules": [{**row.as_dict(), "next_at": moment(row.next_at)} for row in schedules.list_(db)[:5]],
    }


def _live(db: Database, interval_s: float) -> None:
    """Redraw until Ctrl-C; a look that tells nothing new costs the database a few reads."""
    import threading

    from rich.live import Live

    pause = threading.Event()
    with Live(_screen(_look(db)), screen=True, auto_refresh=False) as live:
        try:
            while not pause.wait(interval_s):
                live.update(_screen(_look(db)), refresh=True)
        except KeyboardInterrupt:
            pause.set()


def _print(look: dict[str, Any]) -> None:
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 120).print(_screen(look))


def _screen(look: dict[str, Any]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    counts = "   ".join(f"{count} {status}" for status, count in look["jobs"].items())
    parts: list[RenderableType] = [
        Text(f"{look['database']}   {look['at']} UTC", style="bold"),
        Text(f"Jobs: {counts}"),
        _table("Machines", ("Machine", "State", "Status", "PID", "Last Activity"), _machine_cells(look)),
        _table("State changes", ("When", "Machine", "From", "To", "Event"), _change_cells(look)),
    ]
    if look["schedules"]:
        cells = [[row["next_at"], row["schedule_id"], row["what"]] for row in look["schedules"]]
        parts.append(_table("Next by the clock", ("When", "Schedule", "Does"), cells))
    return Group(*parts)


def _machine_cells(look: dict[str, Any]) -> list[list[Any]]:
    rows = sorted(look["machines"], key=lambda row: (not row["running"], row["machine_name"]))
    cells = [
        [row["machine_name"], row["current_state"], row["status"], row["pid"], moment(row["last_activity"])]
        for row in rows[:MOST_MACHINES]
    ]
    more = len(rows) - len(cells)
    return [*cells, [f"… and {more} more", "", "", "", ""]] if more else cells


def _change_cells(look: dict[str, Any]) -> list[list[Any]]:
    return [
        [row["timestamp"], row["machine"], row["from_state"], row["to_state"], row["event"]]
        for row in look["transitions"]
    ]  # fmt: skip


def _table(title: str, headings: tuple[str, ...], lines: list[list[Any]]) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from ..output import text

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, expand=True)
    for heading in headings:
        table.add_column(heading, overflow="ellipsis", no_wrap=True)
    for line in lines:
        table.add_row(*(Text(text(cell)) for cell in line))
    return table
