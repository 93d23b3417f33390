"""`statemachine-db add-job`: adds one job, from a shell or from cron."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..options import F, JsonValue, Moment, Name, Seconds, database, output_options
from ..output import moment, show_json
from ..program import Failure

if TYPE_CHECKING:
    from ...storage.jobs.job import Job

#: options that add-job had before 1.0.3, and what to write instead
REMOVED = {
    "--input-image": "--input-file PATH",
    **{
        f"--{key.replace('_', '-')}": f"--payload '{{\"{key}\": …}}'"
        for key in ("prompt", "pony_prompt", "flux_prompt", "padding_factor", "mask_padding_factor")
    },
}


def removed_options(function: F) -> F:
    """Refuse options of older versions with a message that names the replacement."""

    def refuse(ctx: click.Context, option: click.Parameter, value: str | None) -> None:
        if value is not None:
            flag = option.opts[0]
            raise click.UsageError(f"{flag} was removed in 1.0.3: use {REMOVED[flag]}", ctx)

    for flag in REMOVED:
        function = click.option(flag, hidden=True, expose_value=False, callback=refuse)(function)
    return function


@click.command("add-job")
@click.argument("job_id", type=Name(), required=False)
@click.option("--type", "job_type", type=Name(), required=True, help="Type of the job: any text.")
@click.option("--machine-type", type=Name(), help="Only machines that ask for this type get it. [default: any machine]")
@click.option("--input-file", metavar="FILE", help="File to work on; its absolute path becomes input_file_path.")
@click.option("--payload", type=JsonValue("payload"), help="Data of the job: any JSON; @FILE reads it, @- from stdin.")
@click.option("--priority", type=int, default=5, show_default=True, help="1 is taken first.")
@click.option("--in", "delay_s", type=Seconds(), default=None, help="Start after this time: 10m, 2h, 1d.")
@click.option("--at", "due_at", type=Moment(), default=None, help="Start at this time: 2026-11-24 08:00, or 08:00.")
@click.option("--source-job-id", type=Name(), help="The job that this one comes from.")
@click.option("--max-attempts", type=click.IntRange(min=1), help="Number of attempts. [default: 3]")
@click.option(
    "--time-limit", "time_limit_s", type=Seconds(), help="Longest time of one attempt: 90s, 2h. [default: unlimited]"
)
@click.option(
    "--backoff", "backoff_s", type=Seconds(),
    help="The first wait between attempts, each further one twice as long: 30s, 5m. [default: the worker's, else 10s]",
)  # fmt: skip
@click.option("--unique-key", type=Name(), help="Add nothing while a job with this key is not done.")
@click.option("--if-absent", is_flag=True, help="If a job of this id exists, print that and exit with 0.")
@click.option("--quiet", is_flag=True, help="Print only errors.")
@removed_options
@output_options
def add_job(
    job_id: str | None, job_type: str, payload: Any, input_file: str | None, source_job_id: str | None,
    unique_key: str | None, delay_s: float | None, due_at: float | None, if_absent: bool, quiet: bool, fmt: str,
    **options: Any,
) -> None:  # fmt: skip
    """Add a job to the queue and notify waiting machines.

    Without JOB_ID, an id is made up. Ids, keys, payload and file may contain {date} {time} {datetime} {uuid} {host}.

    \b
    Example:
      statemachine-db add-job job_003 --type document_convert --machine-type converter \\
        --input-file /path/to/document.pdf --payload '{"output_format": "docx"}'
      statemachine-db add-job 'report-{date}' --type report --if-absent --quiet
    """
    from ...actors.placeholders.timestamps import stamped
    from ...actors.sockets.notifications import notify
    from ...storage import jobs
    from ...storage.errors import JobExists
    from ...storage.jobs.job import new_id

    if delay_s is not None and due_at is not None:
        raise click.UsageError("--in and --at exclude each other; give one of them")
    with database(create=True, durable=True) as db:
        given = [job_id, source_job_id, unique_key, input_file, payload]
        job_id, source_job_id, unique_key, input_file, payload = stamped(given, db.now())
        wanted_id = job_id or new_id()
        try:
            job = jobs.enqueue(
                db, wanted_id, job_type, data=_data(payload, input_file), source_job_id=source_job_id,
                delay_s=delay_s or 0.0, due_at=due_at, unique_key=unique_key, **options,
            )  # fmt: skip
        except JobExists as error:
            if not if_absent:
                raise Failure(str(error), prefix="❌ Error creating job: ") from error
            _report(None, f"Job {wanted_id} exists already: nothing added", wanted_id, quiet, fmt)
            return
        if job.job_id != wanted_id:
            message = f"Job {job.job_id} has the unique key {unique_key} and is not done: nothing added"
            _report(None, message, job.job_id, quiet, fmt)
            return
        notify(db, "jobs", count=1, key=(job.job_type, job.machine_type))
    _report(job, "✅ Job created successfully!", wanted_id, quiet, fmt)


# Helpers


def _data(payload: Any, input_file: str | None) -> Any:
    """Return the payload with the absolute path of the input file; a payload that is no object is wrapped in one."""
    if input_file is None:
        return payload
    path = Path(input_file).expanduser() if input_file.startswith("~") else Path(input_file)
    if not path.exists():
        raise Failure(f"Input file not found: {input_file}")
    base = payload if isinstance(payload, dict) else {} if payload is None else {"payload": payload}
    return {**base, "input_file_path": str(path.absolute())}


def _report(job: Job | None, message: str, job_id: str, quiet: bool, fmt: str) -> None:
    """Print the result; `job` is None if nothing was added because `job_id` exists."""
    if quiet:
        return
    if fmt == "json":
        from .jobs import job_row

        show_json({"added": job is not None, "job_id": job_id, **(job_row(job) if job else {})})
        return
    click.echo(message)
    if job is not None:
        click.echo(f"   Job ID: {job.job_id}\n   Job Type: {job.job_type}")
        click.echo(f"   Machine Type: {job.machine_type or 'any'}\n   Database ID: {job.id}")
        if job.status == "scheduled":
            click.echo(f"   Due: {moment(job.due_at)} UTC")
