"""`statemachine-db` commands that tidy up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..options import database, db_given, db_option
from ..output import counted
from ..program import FAILED, Failure
from .events import STATUSES as EVENT_STATUSES
from .jobs import STATUSES as JOB_STATUSES

if TYPE_CHECKING:
    from ...storage.engine.database import Database

#: a job is called stuck when it has been `processing` for so long
STUCK_S = 600.0

CONFIRMATION = "DELETE ALL DATA"


@click.command()
@click.option("--status", "wanted", type=click.Choice(JOB_STATUSES), required=True, help="Delete jobs in this status.")
@db_option
def cleanup(wanted: str) -> None:
    """Delete up to 1000 jobs of one status.

    Never those that a worker is busy with.

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
@click.option("--force", is_flag=True, help="All of them, not only those that are 10 minutes old.")
@db_option
def reset_processing(force: bool) -> None:
    """Put stuck jobs back into the queue.

    Stuck is what is `processing` for 10 minutes with no worker holding it. Attempts count anew.

    \b
    Example:
      statemachine-db reset-processing --force
    """
    from ...actors.sockets.notifications import bell
    from ...storage import jobs

    with database(durable=True) as db:
        count = jobs.reset_processing(db, older_than_s=None if force else STUCK_S)
        if count:
            bell(db, "jobs", count=count)
            bell(db, "done")
    click.echo(f"Reset {count} processing jobs to pending status" if count else "No stuck processing jobs found")


@click.command("cleanup-events")
@click.option("--status", "wanted", type=click.Choice(EVENT_STATUSES), help="Only events in this status.")
@db_option
def cleanup_events(wanted: str | None) -> None:
    """Delete events.

    All of them, undelivered ones too, unless --status says which.

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
@click.option("--force", is_flag=True, help="Do not ask.")
@db_option
@click.pass_context
def recreate_database(ctx: click.Context, force: bool) -> None:
    """Delete everything and start with empty tables.

    Jobs, events, machine states and history are gone then. A file that is damaged, or no database, is kept under
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
        _begin_anew(ctx, force)
    click.echo("✅ Database recreated successfully!")


# Helpers


def _confirm(ctx: click.Context) -> None:
    if click.prompt(f"Type '{CONFIRMATION}' to go on", default="", show_default=False) != CONFIRMATION:
        click.echo("Cancelled: nothing was deleted", err=True)
        ctx.exit(FAILED)


def _begin_anew(ctx: click.Context, force: bool) -> None:
    """Nothing in the file can be relied on: whoever has it open may be a machine."""
    from ...storage.engine.database import Database
    from .doctor_files import open_by

    file = Database(db_given()).file
    assert file is not None  # a server's damage is its own affair
    if not force:
        if users := open_by(file.path):
            raise Failure(f"the file is in use: {users}; stop them first, or insist with --force")
        _confirm(ctx)
    click.echo(f"The damaged file is kept: {file.set_aside()}")
    with database(create=True):
        pass


def _refuse_while_machines_run(db: Database) -> None:
    from .machines import machine_rows

    running = [row["machine_name"] for row in machine_rows(db) if row["running"]]
    if running:
        raise Failure(f"machines run on this database: {', '.join(running)}; stop them first, or insist with --force")
