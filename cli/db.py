"""`statemachine-db`: jobs, events and machines from a shell; the commands stand in the db_*.py files beside this."""

from __future__ import annotations

import click

from .options import db_option
from .program import LazyGroup, debug_option, end_at_once, standard_streams

SECTIONS = {
    "Jobs": {
        "status": "db_jobs:status",
        "list": "db_jobs:list_jobs",
        "details": "db_jobs:details",
        "add-job": "db_add:add_job",
        "add-jobs": "db_bulk:add_jobs",
        "export": "db_bulk:export",
        "complete-job": "db_jobs:complete_job",
        "fail-job": "db_jobs:fail_job",
        "retry": "db_change:retry",
        "cancel": "db_change:cancel",
        "release": "db_change:release",
        "remove-job": "db_jobs:remove_job",
    },
    "Events": {
        "send-event": "db_events:send_event",
        "list-events": "db_events:list_events",
        "process-events": "db_events:process_events",
    },
    "Machines": {
        "machine-state": "db_machines:machine_state",
        "machine-status": "db_machines:machine_status",
        "watch": "db_watch:watch",
        "machine-health": "db_machines:machine_health",
        "transition-history": "db_history:transition_history",
        "error-history": "db_history:error_history",
        "list-errors": "db_history:list_errors",
        "controller-log": "db_history:controller_log",
    },
    "By the clock": {
        "schedules": "db_cron:schedules",
        "crontab": "db_cron:crontab",
    },
    "Maintenance": {
        "doctor": "db_doctor:doctor",
        "prune": "db_change:prune",
        "cleanup": "db_maintenance:cleanup",
        "cleanup-events": "db_maintenance:cleanup_events",
        "reset-processing": "db_maintenance:reset_processing",
        "recreate-database": "db_maintenance:recreate_database",
    },
}


@click.group(cls=LazyGroup, sections=SECTIONS, invoke_without_command=True)
@db_option
@debug_option("Show tracebacks.")
@click.version_option(package_name="statemachine-engine", prog_name="statemachine-db")
@click.pass_context
def db(ctx: click.Context, debug: bool) -> None:
    """Jobs, events and machines of a statemachine database.

    \b
    Example:
      statemachine-db add-job job_001 --type image_processing --payload '{"input": "image.jpg"}'
      statemachine-db send-event --target my_worker --type new_job
      statemachine-db machine-state

    Exit codes: 0 done, 1 failed, 2 usage, 3 send-event --require-running found nobody.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    """The console script."""
    standard_streams()
    end_at_once(lambda: db(prog_name="statemachine-db"))
