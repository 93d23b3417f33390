"""`statemachine-db` commands about the past: transitions, errors, log lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..options import database, list_options, stacked
from ..output import Column, cut, moment, show

if TYPE_CHECKING:
    from ...storage.audit import ErrorRow, Event, StateChange
    from ...storage.engine.database import Database
    from ...storage.jobs import Job

CONTROLLER = "controller"

#: number of newest log lines in which list-errors looks for level error
LOG_WINDOW = 5000

TRANSITION_COLUMNS: list[Column] = [
    ("ID", "id"),
    ("Machine", "machine"),
    ("From State", "from_state"),
    ("To State", "to_state"),
    ("Event", "event"),
    ("Timestamp", "timestamp"),
]

ERROR_COLUMNS: list[Column] = [
    ("ID", "id"),
    ("Machine", "machine"),
    ("Error Message", lambda row: cut(row["error_message"], 60)),
    ("Job ID", "job_id"),
    ("Timestamp", "timestamp"),
]

PROBLEM_COLUMNS: list[Column] = [
    ("Type", "type"),
    ("Event", "event_name"),
    ("Machine", "machine"),
    ("Job ID", "job_id"),
    ("Message", lambda row: cut(row["message"], 60)),
    ("Timestamp", "timestamp"),
]

LOG_COLUMNS: list[Column] = [
    ("ID", "id"),
    ("Machine", "machine"),
    ("Level", "level"),
    ("Message", "message"),
    ("Timestamp", "timestamp"),
]


#: which part of a history
history_options = stacked(
    click.option("--machine", metavar="NAME", help="Only this machine."),
    click.option("--hours", type=click.FloatRange(min=0), help="Only the last N hours."),
    list_options(20),
)


@click.command("transition-history")
@history_options
def transition_history(machine: str | None, hours: float | None, limit: int, fmt: str) -> None:
    """List state transitions, newest first.

    \b
    Example:
      statemachine-db transition-history --machine worker1 --hours 24 --limit 50
    """
    from ...storage import audit

    with database() as db:
        rows = [_dated(change) for change in audit.transitions(db, machine=machine, hours=hours, limit=limit)]
    show(rows, TRANSITION_COLUMNS, fmt=fmt, empty="No state transitions found")


@click.command("error-history")
@history_options
def error_history(machine: str | None, hours: float | None, limit: int, fmt: str) -> None:
    """List the errors of machines' actions, newest first.

    \b
    Example:
      statemachine-db error-history --machine worker1 --hours 1 --format json
    """
    from ...storage import audit

    with database() as db:
        rows = [_dated(error) for error in audit.errors(db, machine=machine, hours=hours, limit=limit)]
    show(rows, ERROR_COLUMNS, fmt=fmt, empty="No errors found")


@click.command("list-errors")
@list_options(50)
def list_errors(limit: int, fmt: str) -> None:
    """List errors, log lines of level error and failed jobs.

    \b
    Example:
      statemachine-db list-errors --limit 20 --format json
    """
    with database() as db:
        rows = _problems(db, limit)
    show(rows, PROBLEM_COLUMNS, fmt=fmt, empty="No errors found")


@click.command("controller-log")
@click.option("--machine", metavar="NAME", default=CONTROLLER, show_default=True, help="Machine to list.")
@list_options(20)
def controller_log(machine: str, limit: int, fmt: str) -> None:
    """List the log lines of the controller or another machine.

    \b
    Example:
      statemachine-db controller-log --machine worker1 --limit 50
    """
    from ...storage import audit

    with database() as db:
        rows = [_log_line(event) for event in audit.newest(db, "activity_log", machine, None, limit)]
    show(rows, LOG_COLUMNS, fmt=fmt, empty=f"No log lines of machine '{machine}' found")


# Helpers


def _dated(row: StateChange | ErrorRow) -> dict[str, Any]:
    return {**row.as_dict(), "timestamp": moment(row.timestamp)}


def _log_line(event: Event) -> dict[str, Any]:
    return {
        "id": event.id, "machine": event.machine, "level": event.fields.get("level"),
        "message": event.fields.get("message"), "timestamp": moment(event.timestamp),
    }  # fmt: skip


def _problems(db: Database, limit: int) -> list[dict[str, Any]]:
    from ...storage import audit, jobs

    rows = [_problem(event) for event in audit.newest(db, "error", None, None, limit)]
    logged = audit.newest(db, "activity_log", None, None, LOG_WINDOW)
    rows += [_problem(event) for event in logged if str(_log_line(event)["level"]).lower() == "error"]
    rows += [_failed(job) for job in jobs.find(db, status="failed", limit=limit)]
    return sorted(rows, key=lambda row: str(row["timestamp"]), reverse=True)[:limit]


def _problem(event: Event) -> dict[str, Any]:
    return {
        "type": event.type, "level": "error", "event_name": event.type, "machine": event.machine,
        "job_id": event.fields.get("job_id"),
        "message": event.fields.get("error_message") or event.fields.get("message"),
        "payload": event.payload, "timestamp": moment(event.timestamp),
    }  # fmt: skip


def _failed(job: Job) -> dict[str, Any]:
    return {
        "type": "failed_job", "level": "error", "event_name": "job_failed", "machine": job.machine,
        "job_id": job.job_id, "message": job.error_message, "payload": job.data,
        "timestamp": job.completed_at or job.created_at,
    }  # fmt: skip
