"""`statemachine-db watch`: machines, jobs and state changes on one screen."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from ..options import Seconds, db_given, db_option
from ..output import Column, Row, moment, rich_table, show_json
from .jobs import STATUSES

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ...storage.engine.database import Database

MOST_MACHINES = 30
MOST_CHANGES = 12

MACHINE_COLUMNS: list[Column] = [
    ("Machine", "machine_name"),
    ("State", "current_state"),
    ("Status", "status"),
    ("PID", "pid"),
    ("Last Activity", lambda row: moment(row.get("last_activity"))),
]
CHANGE_COLUMNS: list[Column] = [
    ("When", "timestamp"), ("Machine", "machine"), ("From", "from_state"), ("To", "to_state"), ("Event", "event")
]  # fmt: skip
SCHEDULE_COLUMNS: list[Column] = [("When", "next_at"), ("Schedule", "schedule_id"), ("Does", "what")]


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
        _screen_table("Machines", MACHINE_COLUMNS, _shown_machines(snapshot["machines"])),
        _screen_table("State changes", CHANGE_COLUMNS, snapshot["transitions"]),
    ]
    if snapshot["schedules"]:
        parts.append(_screen_table("Next by the clock", SCHEDULE_COLUMNS, snapshot["schedules"]))
    return Group(*parts)


def _shown_machines(rows: list[Row]) -> list[Row]:
    """Return the rows that fit on the screen, running machines first, and a last one with the number of the others."""
    rows = sorted(rows, key=lambda row: (not row["running"], row["machine_name"]))
    more = len(rows) - MOST_MACHINES
    return [*rows[:MOST_MACHINES], {"machine_name": f"… and {more} more"}] if more > 0 else rows


def _screen_table(title: str, columns: list[Column], rows: list[Row]) -> RenderableType:
    from rich import box

    return rich_table(
        columns, rows, one_line=True, title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
        expand=True,
    )  # fmt: skip
