"""`statemachine-db watch`: machines, jobs and state changes on one screen."""

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
@click.option("--interval", type=Seconds(), default="1s", show_default=True, help="Time between two updates.")
@click.option("--once", is_flag=True, help="Print once and exit, as without a terminal.")
@click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", help="json: print once.")
@db_option
def watch(interval: float, once: bool, fmt: str) -> None:
    """Watch machines, jobs and state changes on one screen.

    It runs until Ctrl-C, and only reads.

    \b
    Example:
      statemachine-db watch
      statemachine-db watch --once --format json
    """
    from ...storage.engine.database import Database

    with Database.open(db_given(), create=False) as db:
        if fmt == "json":
            show_json(_snapshot(db))
        elif once or not sys.stdout.isatty():
            _print(_snapshot(db))
        else:
            _live(db, max(interval, 0.1))


# Helpers


def _snapshot(db: Database) -> dict[str, Any]:
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
    """Redraw the screen until Ctrl-C."""
    import threading

    from rich.live import Live

    pause = threading.Event()
    with Live(_screen(_snapshot(db)), screen=True, auto_refresh=False) as live:
        try:
            while not pause.wait(interval_s):
                live.update(_screen(_snapshot(db)), refresh=True)
        except KeyboardInterrupt:
            pause.set()


def _print(snapshot: dict[str, Any]) -> None:
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 120).print(_screen(snapshot))


def _screen(snapshot: dict[str, Any]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    counts = "   ".join(f"{count} {status}" for status, count in snapshot["jobs"].items())
    parts: list[RenderableType] = [
        Text(f"{snapshot['database']}   {snapshot['at']} UTC", style="bold"),
        Text(f"Jobs: {counts}"),
        _table("Machines", ("Machine", "State", "Status", "PID", "Last Activity"), _machine_cells(snapshot)),
        _table("State changes", ("When", "Machine", "From", "To", "Event"), _change_cells(snapshot)),
    ]
    if snapshot["schedules"]:
        cells = [[row["next_at"], row["schedule_id"], row["what"]] for row in snapshot["schedules"]]
        parts.append(_table("Next by the clock", ("When", "Schedule", "Does"), cells))
    return Group(*parts)


def _machine_cells(snapshot: dict[str, Any]) -> list[list[Any]]:
    rows = sorted(snapshot["machines"], key=lambda row: (not row["running"], row["machine_name"]))
    cells = [
        [row["machine_name"], row["current_state"], row["status"], row["pid"], moment(row["last_activity"])]
        for row in rows[:MOST_MACHINES]
    ]
    more = len(rows) - len(cells)
    return [*cells, [f"… and {more} more", "", "", "", ""]] if more else cells


def _change_cells(snapshot: dict[str, Any]) -> list[list[Any]]:
    return [
        [row["timestamp"], row["machine"], row["from_state"], row["to_state"], row["event"]]
        for row in snapshot["transitions"]
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
