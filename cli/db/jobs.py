"""`statemachine-db` commands about jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..options import JsonValue, Name, database, db_option, list_options, output_options, stacked
from ..output import Column, moment, show, show_fields, show_json, text
from ..program import Failure

if TYPE_CHECKING:
    from ...storage.jobs import Job
    from ...storage.jobs.attempts import Attempt

STATUSES = ("pending", "scheduled", "processing", "completed", "failed", "cancelled")

LIST_COLUMNS: list[Column] = [
    ("ID", "job_id"),
    ("Type", "job_type"),
    ("Status", "status"),
    ("Created", "created_at"),
    ("Updated", lambda row: row["completed_at"] or row["started_at"]),
]


job_filter_options = stacked(
    click.option("--status", type=click.Choice(STATUSES), help="Only jobs in this status."),
    click.option("--type", "job_type", metavar="TYPE", help="Only jobs of this type."),
    click.option("--machine-type", metavar="TYPE", help="Only jobs for this machine type."),
)


@click.command()
@output_options
def status(fmt: str) -> None:
    """Count the jobs by status.

    \b
    Example:
      statemachine-db status
    """
    from ...storage import jobs

    with database() as db:
        counts = jobs.counts(db)
    numbers = {name: counts.get(name, 0) for name in STATUSES}
    total = sum(numbers.values())
    if fmt == "json":
        show_json({"total": total, **numbers})
    else:
        order = ("pending", "processing", "completed", "failed", "scheduled", "cancelled")
        show_fields("Database Status:", [("Total jobs", total), *((name.title(), numbers[name]) for name in order)])


@click.command("list")
@job_filter_options
@click.option("--machine", metavar="NAME", help="Only jobs that this machine claimed last.")
@list_options(20)
def list_jobs(status: str | None, job_type: str | None, limit: int, fmt: str, **filters: Any) -> None:
    """List jobs, newest first.

    \b
    Example:
      statemachine-db list --status pending --type image_processing --limit 20
    """
    from ...storage import jobs

    with database() as db:
        found = jobs.find(db, status=status, job_type=job_type, limit=limit, **filters)
    kind = f" ({job_type})" if job_type else ""
    state = f" with status '{status}'" if status else ""
    show([job_row(job) for job in found], LIST_COLUMNS, fmt=fmt, empty=f"No jobs{kind}{state} found")


@click.command()
@click.argument("job_id", type=Name())
@output_options
def details(job_id: str, fmt: str) -> None:
    """Show everything about one job and its attempts.

    \b
    Example:
      statemachine-db details job_001
    """
    from ...storage import jobs
    from ...storage.jobs import attempts

    with database() as db:
        job = jobs.get(db, job_id)
        past = attempts.of(db, job) if job is not None else []
    if job is None:
        raise Failure(f"Job {job_id} not found (statemachine-db list shows the jobs)", prefix="")
    row = job_row(job)
    if fmt == "json":
        show_json({**row, "attempt_history": [attempt.as_dict() for attempt in past]})
        return
    show_fields(f"Job Details: {job_id}", _fields(row))
    for attempt in past:
        _show_attempt(attempt)


@click.command("complete-job")
@click.argument("job_id", type=Name())
@click.option(
    "--result", type=JsonValue("result"), help="Result to store with it: any JSON; @FILE reads it, @- from stdin."
)
@db_option
def complete_job(job_id: str, result: Any) -> None:
    """Mark a job as completed, whatever its status.

    \b
    Example:
      statemachine-db complete-job job_001 --result '{"pages": 12}'
    """
    from ...actors.sockets.delivery import announce_job
    from ...storage import jobs

    with database(durable=True) as db:
        announce_job(db, "job_completed", jobs.complete(db, job_id, result=result))
    click.echo(f"✅ Job {job_id} marked as completed!")


@click.command("fail-job")
@click.argument("job_id", type=Name())
@click.option("--reason", required=True, help="Why: stored as the job's error message.")
@db_option
def fail_job(job_id: str, reason: str) -> None:
    """Mark a job as failed, whatever its status.

    \b
    Example:
      statemachine-db fail-job job_001 --reason "source file is corrupt"
    """
    from ...actors.sockets.delivery import announce_job
    from ...storage import jobs

    with database(durable=True) as db:
        announce_job(db, "job_failed", jobs.fail(db, job_id, reason))
    click.echo(f"❌ Job {job_id} marked as failed!\n   Reason: {text(reason)}")


@click.command("remove-job")
@click.argument("job_id", type=Name())
@click.option("--reason", help="Why: repeated in the answer.")
@db_option
def remove_job(job_id: str, reason: str | None) -> None:
    """Delete a job.

    \b
    Example:
      statemachine-db remove-job job_001 --reason "added twice"
    """
    from ...actors.sockets.notifications import notify
    from ...storage import jobs

    with database(durable=True) as db:
        jobs.remove(db, job_id)
        notify(db, "done", key=(job_id,))
    click.echo(f"✅ Job {job_id} removed successfully!")
    if reason:
        click.echo(f"   Reason: {text(reason)}")


# Helpers


def job_row(job: Job) -> dict[str, Any]:
    """Return a job as the JSON output shows it: times are UTC text, `data` and `result` are values."""
    row = job.as_dict()
    for key in ("due_at", "lease_until"):
        row[key] = moment(row[key])
    return row


def _fields(row: dict[str, Any]) -> list[tuple[str, Any]]:
    attempts = f"{row['attempts']} of {row['max_attempts']}"
    named = [
        ("Status", "status"), ("Job Type", "job_type"), ("Machine Type", "machine_type"), ("Priority", "priority"),
        ("Source Job", "source_job_id"), ("Created", "created_at"), ("Due", "due_at"), ("Started", "started_at"),
        ("Completed", "completed_at"), ("Machine", "machine"), ("Owner", "owner"), ("Time Limit", "time_limit_s"),
        ("Back-off", "backoff_s"), ("Error", "error_message"), ("Payload", "data"), ("Result", "result"),
    ]  # fmt: skip
    row = {**row, **{key: f"{row[key]:g} s" for key in ("time_limit_s", "backoff_s") if row[key] is not None}}
    fields = [(heading, row[key]) for heading, key in named]
    return [*fields[:4], ("Attempts", attempts), *fields[4:]]


def _show_attempt(attempt: Attempt) -> None:
    """Print the outcome of an attempt, and below it the end of its commands' output."""
    reason = f": {text(attempt.error_message)}" if attempt.error_message else ""
    span = f"{attempt.started_at} to {attempt.ended_at}"
    click.echo(f"  {span}  {text(attempt.machine or '-')}  attempt {attempt.attempt} {attempt.outcome}{reason}")
    for line in (attempt.output or "").splitlines():
        click.echo(f"    | {text(line)}")
