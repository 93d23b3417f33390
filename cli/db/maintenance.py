"""`statemachine-db` commands that delete or reset rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..options import database, db_given, db_option
from ..output import counted
from ..program import FAILED, Failure
from .change import notify_changed
from .events import STATUSES as EVENT_STATUSES
from .jobs import STATUSES as JOB_STATUSES

if TYPE_CHECKING:
    from ...storage.engine.database import Database

#: seconds in `processing` after which a job counts as stuck
STUCK_S = 600.0

CONFIRMATION = "DELETE ALL DATA"


@click.command()
@click.option("--status", "wanted", type=click.Choice(JOB_STATUSES), required=True, help="Delete jobs in this status.")
@db_option
def cleanup(wanted: str) -> None:
    """Delete up to 1000 jobs of one status.

    Jobs that a worker holds are never deleted.

    \b
    Example:
      statemachine-db cleanup --status completed
    """
    from ...storage import jobs

    if wanted == "processing":
        click.echo("WARNING: jobs in 'processing' are not deleted; see reset-processing. Nothing was done.")
        return
    with database() as db:
        count = jobs.cleanup(db, wanted, limit=1000)
    click.echo(f"Deleted {counted(count, f'{wanted} job')}" if count else f"No {wanted} jobs to delete")


@click.command("reset-processing")
@click.option("--force", is_flag=True, help="Reset all, also jobs of live workers.")
@db_option
def reset_processing(force: bool) -> None:
    """Put stuck jobs back in the queue.

    A job is stuck if it is `processing` for 10 minutes and no worker holds it. Its number of attempts starts at zero
    again. With --force, live workers lose their jobs too.

    \b
    Example:
      statemachine-db reset-processing
    """
    from ...storage import jobs

    with database(durable=True) as db:
        count = jobs.reset_processing(db, older_than_s=None if force else STUCK_S)
        if count:
            notify_changed(db, count)
    click.echo(f"Reset {count} processing jobs to pending status" if count else "No stuck processing jobs found")


@click.command("cleanup-events")
@click.option("--status", "wanted", type=click.Choice(EVENT_STATUSES), help="Only events in this status.")
@db_option
def cleanup_events(wanted: str | None) -> None:
    """Delete events.

    Without --status, all events are deleted, undelivered ones too.

    \b
    Example:
      statemachine-db cleanup-events --status processed
    """
    from ...storage import mailbox

    with database() as db:
        count = mailbox.clear(db, target=None, types=None, status=wanted)
    what = f"{wanted} event" if wanted else "event"
    click.echo(f"Deleted {counted(count, what)}" if count else "No events to delete")


@click.command("recreate-database")
@click.option("--force", is_flag=True, help="Do not ask, and do not check for running machines.")
@db_option
@click.pass_context
def recreate_database(ctx: click.Context, force: bool) -> None:
    """Delete everything and start with empty tables.

    This deletes jobs, events, machine states and history. A file that is damaged, or is no database, is kept under
    another name beside the new one.

    \b
    Example:
      statemachine-db recreate-database --force
    """
    from ...storage import health
    from ...storage.engine import migrations
    from ...storage.errors import StoreDamaged

    try:
        with database(create=True, durable=True) as db:
            if not force:
                _refuse_while_machines_run(db)
                if problem := health.takes_writes(db):
                    raise Failure(problem)
                _confirm(ctx)
            migrations.recreate(db)
    except StoreDamaged:
        _replace_damaged_file(ctx, force)
    click.echo("✅ Database recreated successfully!")


# Helpers


def _confirm(ctx: click.Context) -> None:
    if click.prompt(f"Type '{CONFIRMATION}' to go on", default="", show_default=False) != CONFIRMATION:
        click.echo("Cancelled: nothing was deleted", err=True)
        ctx.exit(FAILED)


def _replace_damaged_file(ctx: click.Context, force: bool) -> None:
    """Set the damaged file aside and make a new one; refuse if a process has it open, unless `force`."""
    from ...storage.engine.database import Database
    from .doctor_files import open_by

    file = Database(db_given()).file
    assert file is not None  # a damaged server raises another error
    if not force:
        if users := open_by(file.path):
            raise Failure(f"the file is in use: {users}; stop them first, or use --force")
        _confirm(ctx)
    click.echo(f"The damaged file is kept: {file.set_aside()}")
    with database(create=True):
        pass


def _refuse_while_machines_run(db: Database) -> None:
    from .machines import machine_rows

    running = [row["machine_name"] for row in machine_rows(db) if row["running"]]
    if running:
        raise Failure(f"machines run on this database: {', '.join(running)}; stop them first, or use --force")
