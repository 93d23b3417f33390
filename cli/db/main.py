"""`statemachine-db`: jobs, events and machines from a shell; each command is in a module of this package."""

from __future__ import annotations

import click

from ..options import db_option
from ..program import LazyGroup, end_at_once, program_options, standard_streams

SECTIONS = {
    "Jobs": {
        "status": "jobs:status",
        "list": "jobs:list_jobs",
        "details": "jobs:details",
        "add-job": "add:add_job",
        "add-jobs": "bulk:add_jobs",
        "export": "bulk:export",
        "complete-job": "jobs:complete_job",
        "fail-job": "jobs:fail_job",
        "retry": "change:retry",
        "cancel": "change:cancel",
        "release": "change:release",
        "remove-job": "jobs:remove_job",
    },
    "Events": {
        "send-event": "events:send_event",
        "list-events": "events:list_events",
        "process-events": "events:process_events",
    },
    "Machines": {
        "machine-state": "machines:machine_state",
        "machine-status": "machines:machine_status",
        "watch": "watch:watch",
        "machine-health": "machines:machine_health",
        "transition-history": "history:transition_history",
        "error-history": "history:error_history",
        "list-errors": "history:list_errors",
        "controller-log": "history:controller_log",
    },
    "By the clock": {
        "schedules": "cron:schedules",
        "crontab": "cron:crontab",
    },
    "Maintenance": {
        "doctor": "doctor:doctor",
        "prune": "change:prune",
        "cleanup": "maintenance:cleanup",
        "cleanup-events": "maintenance:cleanup_events",
        "reset-processing": "maintenance:reset_processing",
        "recreate-database": "maintenance:recreate_database",
    },
}


@click.group(cls=LazyGroup, package=__package__, sections=SECTIONS)
@db_option
@program_options("Show tracebacks.", "statemachine-db")
def db(debug: bool) -> None:
    """Jobs, events and machines of a statemachine database.

    \b
    Example:
      statemachine-db add-job job_001 --type image_processing --payload '{"input": "image.jpg"}'
      statemachine-db send-event --target my_worker --type new_job
      statemachine-db machine-state

    Exit codes: 0 done, 1 failed, 2 usage, 3 send-event --require-running found nobody.
    """


def main() -> None:
    """Run the console script."""
    standard_streams()
    end_at_once(lambda: db(prog_name="statemachine-db"))
