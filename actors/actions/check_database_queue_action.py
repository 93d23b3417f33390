"""The `check_database_queue` action: takes the next job of the queue."""

from __future__ import annotations

from collections.abc import Hashable

from ..jobs.job_context import put_job, remove_job
from .base import DURATION, NUMBER, Context
from .builtin import BuiltinAction


class CheckDatabaseQueueAction(BuiltinAction):
    """Claims a job, puts it into the context and causes `new_job`; without a job, `no_jobs`.

    A previous job that no action completed or failed ends by the rule, in the same transaction.
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
    value_kinds = {"lease": DURATION, "backoff": DURATION, "max_attempts": NUMBER}
    watch = "jobs"

    def execute(self, context: Context) -> str | None:
        job = self.services.jobs.claim(
            self.text("job_type"),
            self.text("machine_type"),
            lease_s=self.duration_s("lease", 60),
            max_attempts=self.whole("max_attempts"),
            backoff_s=self.wait_s("backoff"),
            cancel=self.services.cancel,
        )
        if job is None:
            remove_job(context)
            return self.empty_event()
        put_job(context, job)
        return self.event("success", "new_job")

    def watch_key(self) -> Hashable:
        """Return the kind of jobs that this worker takes."""
        return self.text("job_type"), self.text("machine_type")
