"""`statemachine-db` commands that change jobs, one by one or all that match."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from ..options import Name, Seconds, database, db_option, output_options, stacked
from ..output import counted, show_json
from ..program import FAILED, Failure
from .jobs import job_filter_options

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ...storage.jobs.bulk import Choice

FINISHED = ("completed", "failed", "cancelled")
PRUNED = ("jobs", "events", "history")

One = Callable[["Database", str], str]
"""Changes the job of this id; returns the line to print."""


#: the jobs meant: by their ids, or by what they have in common
choice_options = stacked(
    click.argument("job_ids", metavar="[JOB]...", type=Name(), nargs=-1),
    job_filter_options,
    click.option("--older-than", type=Seconds(), help="Only jobs created at least this long ago: 10m, 2h, 30d."),
    click.option("--dry-run", is_flag=True, help="Only print how many jobs are meant."),
    click.option("--all", "everything", is_flag=True, help="All jobs that can be changed like this."),
    db_option,
    click.pass_context,
)


@click.command("retry")
@choice_options
def retry(ctx: click.Context, /, job_ids: Sequence[str], **options: Any) -> None:
    """Put failed, cancelled or stuck jobs back in the queue.

    The number of attempts starts at zero again. A job named by its id may also be scheduled: it becomes due at once.

    \b
    Example:
      statemachine-db retry job_001 job_002
      statemachine-db retry --status failed --type image_processing
    """
    from ...storage import jobs
    from ...storage.jobs import bulk

    def one(db: Database, job_id: str) -> str:
        return f"🔁 Job {job_id} is {jobs.retry(db, job_id).status} again"

    _change(ctx, job_ids, options, one, bulk.retry, bulk.RETRIABLE, "🔁 {} jobs are pending again")


@click.command("cancel")
@choice_options
def cancel(ctx: click.Context, /, job_ids: Sequence[str], **options: Any) -> None:
    """Take jobs out of the queue without deleting them.

    A worker that holds one is notified that it has lost it.

    \b
    Example:
      statemachine-db cancel job_001
      statemachine-db cancel --status pending --older-than 7d --dry-run
    """
    from ...storage import jobs
    from ...storage.jobs import bulk

    def one(db: Database, job_id: str) -> str:
        jobs.cancel(db, job_id)
        return f"🚫 Job {job_id} cancelled"

    _change(ctx, job_ids, options, one, bulk.cancel, bulk.CANCELLABLE, "🚫 {} jobs cancelled")


@click.command("release")
@click.option("--owner", metavar="OWNER", help="Only jobs that this worker holds, as `details` shows it.")
@choice_options
def release(ctx: click.Context, /, job_ids: Sequence[str], **options: Any) -> None:
    """Give jobs that a worker holds back to the queue.

    The attempt is not counted. A live worker is notified that it has lost them.

    \b
    Example:
      statemachine-db release job_001
      statemachine-db release --older-than 1h
    """
    from ...storage import jobs
    from ...storage.errors import JobNotFound, WrongJobState
    from ...storage.jobs import bulk

    def one(db: Database, job_id: str) -> str:
        if not bulk.release(db, bulk.Choice(job_id=job_id)):
            job = jobs.get(db, job_id)
            raise WrongJobState(job_id, job.status, ("processing",)) if job else JobNotFound(job_id)
        return f"↩️  Job {job_id} is pending again"

    _change(ctx, job_ids, options, one, bulk.release, ("processing",), "↩️  {} jobs are pending again")


@click.command("prune")
@click.option("--older-than", type=Seconds(), required=True, help="Delete what ended at least this long ago: 12h, 30d.")
@click.option(
    "--only", type=click.Choice(PRUNED), multiple=True, help="Only these; may be repeated. [default: all of them]"
)
@click.option(
    "--status", "statuses", type=click.Choice(FINISHED), multiple=True, help="Only jobs that ended like this."
)
@output_options
def prune(older_than: float, only: Sequence[str], statuses: Sequence[str], fmt: str) -> None:
    """Delete finished jobs, settled events and history.

    \b
    Example:
      statemachine-db prune --older-than 30d
      statemachine-db prune --older-than 7d --only jobs --status completed
    """
    from ...storage import audit, jobs, mailbox

    wanted = only or PRUNED
    if statuses and "jobs" not in wanted:
        raise click.UsageError("--status chooses among jobs, which --only leaves out")
    pruned: dict[str, int] = {}
    with database() as db:
        if "jobs" in wanted:
            pruned["jobs"] = jobs.prune(db, older_than_s=older_than, statuses=statuses or FINISHED)
        if "events" in wanted and not statuses:
            pruned["events"] = mailbox.prune(db, older_than)
        if "history" in wanted and not statuses:
            pruned["history"] = audit.prune(db, older_than)
    if fmt == "json":
        show_json(pruned)
    else:
        names = {"history": "history records"}
        click.echo("Deleted " + ", ".join(f"{count} {names.get(what, what)}" for what, count in pruned.items()))


# Helpers


def _change(
    ctx: click.Context, job_ids: Sequence[str], options: dict[str, Any], one: One,
    many: Callable[[Database, Choice], int], statuses: Sequence[str], message: str,
) -> None:  # fmt: skip
    from ...storage.jobs import bulk

    dry_run, everything = options.pop("dry_run"), options.pop("everything")
    choice = bulk.Choice(older_than_s=options.pop("older_than"), **options)
    _check_choice(job_ids, choice, everything, dry_run, statuses)
    with database(durable=True) as db:
        if job_ids:
            done = [_changed(db, one, job_id) for job_id in job_ids]
            ctx.exit(0 if all(done) else FAILED)
        if dry_run:
            click.echo(f"{counted(bulk.count(db, choice, statuses), 'job')} meant; nothing was done")
            return
        count = many(db, choice)
        if count:
            notify_changed(db, count)
    click.echo(message.format(count))


def _check_choice(
    job_ids: Sequence[str], choice: Choice, everything: bool, dry_run: bool, statuses: Sequence[str]
) -> None:
    if job_ids and (choice.names_something or everything or dry_run):
        raise click.UsageError("name jobs or choose them by options, not both")
    if not (job_ids or choice.names_something or everything):
        raise click.UsageError("name jobs, or choose them by --status, --type, --older-than …, or --all")
    if choice.status and choice.status not in statuses:
        raise click.UsageError(
            f"{choice.status} jobs cannot be changed like this; --status takes {', '.join(statuses)}"
        )


def _changed(db: Database, one: One, job_id: str) -> bool:
    from ...storage.errors import JobNotFound, WrongJobState

    try:
        line = one(db, job_id)
    except (JobNotFound, WrongJobState) as error:
        Failure(f"{error} (statemachine-db list shows the jobs)").show()
        return False
    notify_changed(db, 1, job_id)
    click.echo(line)
    return True


def notify_changed(db: Database, count: int, job_id: str | None = None) -> None:
    """Notify machines that look for jobs, and machines that wait for the end of these."""
    from ...actors.sockets.notifications import notify

    notify(db, "jobs", count=count)
    notify(db, "done", key=(job_id,) if job_id else ())
