"""The `check_database_queue` action: takes the next job of the queue."""

from __future__ import annotations

from collections.abc import Hashable

from ..jobs.job_context import drop, hold
from .base import Context
from .builtin import BuiltinAction


class CheckDatabaseQueueAction(BuiltinAction):
    """Claims a job, puts it into the context and yields `new_job`; with none to be had, `no_jobs`.

    The job before it, if no action completed or failed it, is settled in the same transaction.
    """

    keys = {
        "job_type": "only jobs of this type (default: any)",
        "machine_type": "only jobs for this kind of machine, or for none (default: any)",
        "lease": "for how long the job is held between renewals (60 seconds)",
        "max_attempts": "how often a job is tried unless it says so itself (3)",
        "backoff": "the first wait between its attempts unless it says so itself (10 seconds)",
        "success": "event when a job was taken (new_job)",
        "empty": "event when there is none (no_jobs)",
        "status": "accepted from older files: always pending",
        "limit": "accepted from older files: always 1",
    }
    events = {"success": "new_job", "empty": "no_jobs"}
    watch = "jobs"

    def execute(self, context: Context) -> str | None:
        """Looks once."""
        job = self.services.jobs.claim(
            self.text("job_type"),
            self.text("machine_type"),
            self.duration_s("lease", 60),
            self.whole("max_attempts"),
            self.wait_s("backoff"),
            cancel=self.services.cancel,
        )
        if job is None:
            drop(context)
            return self.empty_event()
        hold(context, job)
        return self.event("success", "new_job")

    def empty_event(self) -> str:
        """Return the event for nothing found: `empty:`, by default `no_jobs`."""
        return self.event("empty", "no_jobs")

    def watch_key(self) -> Hashable:
        """The jobs that this worker could take."""
        return self.text("job_type"), self.text("machine_type")
