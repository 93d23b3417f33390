"""`statemachine-db` commands about jobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import F, JsonValue, Name, database, db_option, format_option, limit_option
from .output import Column, moment, show, show_fields, show_json
from .program import Failure

if TYPE_CHECKING:
    from ..storage.jobs import Job

STATUSES = ("pending", "scheduled", "processing", "completed", "failed", "cancelled")

#: what add-job took before 1.0.3, and what to write instead (the README's migration section)
REMOVED = {
    "--input-image": "--input-file PATH",
    **{
        f"--{key.replace('_', '-')}": f"--payload '{{\"{key}\": …}}'"
        for key in ("prompt", "pony_prompt", "flux_prompt", "padding_factor", "mask_padding_factor")
    },
}

LIST_COLUMNS: list[Column] = [
    ("ID", "job_id"),
    ("Type", "job_type"),
    ("Status", "status"),
    ("Created", "created_at"),
    ("Updated", lambda row: row["completed_at"] or row["started_at"]),
]


def removed_options(function: F) -> F:
    """Refuse the flags of older versions by saying what replaced them."""

    def refuse(ctx: click.Context, option: click.Parameter, value: str | None) -> None:
        if value is not None:
            flag = option.opts[0]
            raise click.UsageError(f"{flag} was removed in 1.0.3: use {REMOVED[flag]}", ctx)

    for flag in REMOVED:
        function = click.option(flag, hidden=True, expose_value=False, callback=refuse)(function)
    return function


@click.command()
@db_option
@format_option
def status(fmt: str) -> None:
    """Count the jobs by status.

    \b
    Example:
      statemachine-db status
    """
    from ..storage import jobs

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
@click.option("--status", "wanted", type=click.Choice(STATUSES), help="Only jobs in this status.")
@click.option("--type", "job_type", metavar="TYPE", help="Only jobs of this type.")
@click.option("--machine-type", metavar="TYPE", help="Only jobs for this machine type.")
@limit_option(20)
@db_option
@format_option
def list_jobs(wanted: str | None, job_type: str | None, machine_type: str | None, limit: int, fmt: str) -> None:
    """List jobs, newest first.

    \b
    Example:
      statemachine-db list --status pending --type image_processing --limit 20
    """
    from ..storage import jobs

    with database() as db:
        found = jobs.find(db, status=wanted, job_type=job_type, machine_type=machine_type, limit=limit)
    kind = f" ({job_type})" if job_type else ""
    state = f" with status '{wanted}'" if wanted else ""
    show([job_row(job) for job in found], LIST_COLUMNS, fmt=fmt, empty=f"No jobs{kind}{state} found")


@click.command()
@click.argument("job_id", type=Name())
@db_option
@format_option
def details(job_id: str, fmt: str) -> None:
    """Show everything about one job.

    \b
    Example:
      statemachine-db details job_001
    """
    from ..storage import jobs

    with database() as db:
        job = jobs.get(db, job_id)
    if job is None:
        raise Failure(f"Job {job_id} not found (statemachine-db list shows the jobs)", prefix="")
    row = job_row(job)
    if fmt == "json":
        show_json(row)
    else:
        show_fields(f"Job Details: {job_id}", _fields(row))


@click.command("add-job")
@click.argument("job_id", type=Name())
@click.option("--type", "job_type", type=Name(), required=True, help="Type of the job: any text.")
@click.option("--machine-type", type=Name(), help="Only machines that ask for this type get it. [default: any machine]")
@click.option("--input-file", metavar="FILE", help="File to work on; its absolute path becomes input_file_path.")
@click.option("--payload", type=JsonValue("payload"), help="Data of the job: any JSON.")
@click.option("--priority", type=int, default=5, show_default=True, help="1 is taken first.")
@click.option("--source-job-id", type=Name(), help="The job that this one comes from.")
@click.option("--max-attempts", type=click.IntRange(min=1), help="How often it is tried. [default: 3]")
@removed_options
@db_option
def add_job(job_id: str, job_type: str, payload: Any, input_file: str | None, **options: Any) -> None:
    """Add a job to the queue and wake a worker.

    \b
    Example:
      statemachine-db add-job job_003 --type document_convert --machine-type converter \\
        --input-file /path/to/document.pdf --payload '{"output_format": "docx"}'
    """
    from ..actors.wire import bell
    from ..storage import jobs
    from ..storage.errors import JobExists

    data = _data(payload, input_file)
    with database(durable=True) as db:
        try:
            job = jobs.enqueue(db, job_id, job_type, data=data, **options)
        except JobExists as error:
            raise Failure(str(error), prefix="❌ Error creating job: ") from error
        bell(db, "jobs", count=1, key=(job.job_type, job.machine_type))
    click.echo("✅ Job created successfully!")
    click.echo(f"   Job ID: {job.job_id}\n   Job Type: {job.job_type}")
    click.echo(f"   Machine Type: {job.machine_type or 'any'}\n   Database ID: {job.id}")


@click.command("complete-job")
@click.argument("job_id", type=Name())
@click.option("--result", type=JsonValue("result"), help="Result to store with it: any JSON.")
@db_option
def complete_job(job_id: str, result: Any) -> None:
    """Mark a job as completed, whatever its status.

    \b
    Example:
      statemachine-db complete-job job_001 --result '{"pages": 12}'
    """
    from ..actors.deliver import announce_job
    from ..storage import jobs

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
    from ..actors.deliver import announce_job
    from ..storage import jobs

    with database(durable=True) as db:
        announce_job(db, "job_failed", jobs.fail(db, job_id, reason))
    click.echo(f"❌ Job {job_id} marked as failed!\n   Reason: {reason}")


@click.command("retry-job")
@click.argument("job_id", type=Name())
@db_option
def retry_job(job_id: str) -> None:
    """Put a failed, cancelled or stuck job back in the queue.

    Its attempts count anew.

    \b
    Example:
      statemachine-db retry-job job_001
    """
    from ..actors.wire import bell
    from ..storage import jobs

    with database(durable=True) as db:
        job = jobs.retry(db, job_id)
        bell(db, "jobs", count=1, key=(job.job_type, job.machine_type))
    click.echo(f"🔁 Job {job_id} is {job.status} again")


@click.command("cancel-job")
@click.argument("job_id", type=Name())
@db_option
def cancel_job(job_id: str) -> None:
    """Take a job out of the queue without deleting it.

    A worker that is busy with it learns that it has lost it.

    \b
    Example:
      statemachine-db cancel-job job_001
    """
    from ..actors.wire import bell
    from ..storage import jobs

    with database(durable=True) as db:
        jobs.cancel(db, job_id)
        bell(db, "done", key=(job_id,))
    click.echo(f"🚫 Job {job_id} cancelled")


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
    from ..actors.wire import bell
    from ..storage import jobs

    with database(durable=True) as db:
        jobs.remove(db, job_id)
        bell(db, "done", key=(job_id,))
    click.echo(f"✅ Job {job_id} removed successfully!")
    if reason:
        click.echo(f"   Reason: {reason}")


# Helpers


def job_row(job: Job) -> dict[str, Any]:
    """A job as the JSON output has it: times as UTC text, `data` and `result` as the values they are."""
    row = job.as_dict()
    for key in ("due_at", "lease_until"):
        row[key] = moment(row[key])
    return row


def _data(payload: Any, input_file: str | None) -> Any:
    """The job's data: the payload, with the input file's absolute path in it; a non-object becomes `{payload}`."""
    if input_file is None:
        return payload
    path = Path(input_file).expanduser()
    if not path.exists():
        raise Failure(f"Input file not found: {input_file}")
    base = payload if isinstance(payload, dict) else {} if payload is None else {"payload": payload}
    return {**base, "input_file_path": str(path.absolute())}


def _fields(row: dict[str, Any]) -> list[tuple[str, Any]]:
    attempts = f"{row['attempts']} of {row['max_attempts']}"
    named = [
        ("Status", "status"), ("Job Type", "job_type"), ("Machine Type", "machine_type"), ("Priority", "priority"),
        ("Source Job", "source_job_id"), ("Created", "created_at"), ("Due", "due_at"), ("Started", "started_at"),
        ("Completed", "completed_at"), ("Owner", "owner"), ("Error", "error_message"), ("Payload", "data"),
        ("Result", "result"),
    ]  # fmt: skip
    fields = [(heading, row[key]) for heading, key in named]
    return [*fields[:4], ("Attempts", attempts), *fields[4:]]
