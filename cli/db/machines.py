"""`statemachine-db` commands about machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..options import database, output_options
from ..output import Column, moment, show, show_json, yes
from ..program import FAILED

if TYPE_CHECKING:
    from ...storage.engine.database import Database

STATE_COLUMNS: list[Column] = [
    ("Machine", "machine_name"),
    ("Current State", "current_state"),
    ("Running", lambda row: yes(row["running"])),
    ("PID", "pid"),
    ("Last Activity", lambda row: moment(row["last_activity"])),
]

STATUS_COLUMNS: list[Column] = [
    ("Machine", "machine_name"),
    ("Status", "status"),
    ("Current State", "current_state"),
    ("PID", "pid"),
    ("Host", "host"),
    ("Config", "config_type"),
    ("Last Activity", lambda row: moment(row["last_activity"])),
]

machine_option = click.option("--machine", metavar="NAME", help="Only this machine.")


@click.command("machine-state")
@machine_option
@output_options
@click.pass_context
def machine_state(ctx: click.Context, machine: str | None, fmt: str) -> None:
    """Show the state of every machine, and whether it runs.

    \b
    Example:
      statemachine-db machine-state --format json
      watch -n 1 'statemachine-db machine-state'
    """
    _show_machines(ctx, machine, STATE_COLUMNS, fmt)


@click.command("machine-status")
@machine_option
@output_options
@click.pass_context
def machine_status(ctx: click.Context, machine: str | None, fmt: str) -> None:
    """Show the status of every machine.

    It is running, standby, failed, ended, or dead: its process is gone without an end.

    \b
    Example:
      statemachine-db machine-status --machine worker1
    """
    _show_machines(ctx, machine, STATUS_COLUMNS, fmt)


@click.command("machine-health")
@output_options
def machine_health(fmt: str) -> None:
    """Print what needs attention.

    These are machines that failed or died, and jobs that no worker holds any more.

    \b
    Example:
      statemachine-db machine-health
    """
    with database() as db:
        health = _health(db)
    if fmt == "json":
        show_json(health)
        return
    click.echo(f"Machine Health: {'healthy' if health['healthy'] else 'needs attention'}")
    click.echo(f"  Machines running: {len(health['running'])} of {health['machines']}")
    for what in ("failed", "dead"):
        if health[what]:
            click.echo(f"  Machines {what}: {', '.join(health[what])}")
    counts = ", ".join(f"{count} {status}" for status, count in health["jobs"].items())
    click.echo(f"  Jobs: {counts or 'none'}\n  Stuck jobs: {len(health['stuck_jobs'])}")
    for job_id in health["stuck_jobs"]:
        click.echo(f"    {job_id} (statemachine-db retry {job_id} puts it back into the queue)")


# Helpers


def machine_rows(db: Database, machine: str | None = None) -> list[dict[str, Any]]:
    """Return the registry as the outputs show it, by name: the keys of older engines first, then liveness."""
    from ...actors.processes.liveness import is_running, status_of
    from ...storage import machines
    from ...storage.payload import attributes

    now_s = db.now()
    rows = machines.list_(db) if machine is None else filter(None, [machines.get(db, machine)])
    return [
        {
            **attributes(row, "machine_name", "current_state", "last_activity", "pid", "metadata"),
            "running": (running := is_running(row, now_s)),
            "status": status_of(row, running),
            **attributes(row, "config_type", "host"),
        }
        for row in rows
    ]


def _show_machines(ctx: click.Context, machine: str | None, columns: list[Column], fmt: str) -> None:
    with database() as db:
        rows = machine_rows(db, machine)
    missing = machine is not None and not rows
    show(rows, columns, fmt=fmt, empty=f"Machine {machine} not found" if missing else "No machines found")
    if missing:
        ctx.exit(FAILED)


def _health(db: Database) -> dict[str, Any]:
    from ...storage import jobs

    rows = machine_rows(db)
    named = {what: [row["machine_name"] for row in rows if row["status"] == what] for what in ("failed", "dead")}
    now_s = db.now()
    processing = jobs.find(db, status="processing", limit=1000)
    stuck = [job.job_id for job in processing if job.lease_until is None or job.lease_until < now_s]
    return {
        "healthy": not (named["failed"] or named["dead"] or stuck),
        "machines": len(rows),
        "running": [row["machine_name"] for row in rows if row["running"]],
        **named,
        "jobs": {status: count for status, count in jobs.counts(db).items() if count},
        "stuck_jobs": stuck,
    }
