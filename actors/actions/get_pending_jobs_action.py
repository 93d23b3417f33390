"""The `get_pending_jobs` action: lists waiting jobs without taking them."""

from __future__ import annotations

from collections.abc import Hashable

from ...storage import jobs
from .base import NUMBER, Context
from .builtin import BuiltinAction


class GetPendingJobsAction(BuiltinAction):
    """Stores the jobs that could be claimed now and causes `jobs_found`; `no_jobs` without any.

    They are in the order in which they would be claimed; `id` and `job_id` of each are its id.
    """

    keys = {
        "job_type": "only jobs of this type (default: any)",
        "machine_type": "only jobs for this kind of machine, or for none (default: any)",
        "limit": "how many at most (default: all)",
        "store_as": "context key for the list (pending_jobs)",
        "success": "event when there are some (jobs_found)",
        "empty": "event when there are none (no_jobs)",
    }
    events = {"success": "jobs_found", "empty": "no_jobs"}
    value_kinds = {"limit": NUMBER}
    stores = {"store_as": "pending_jobs"}
    watch = "jobs"

    def execute(self, context: Context) -> str | None:
        found = jobs.pending(
            self.services.db, self.text("job_type"), self.text("machine_type"), self.whole("limit") or None
        )
        items = [{**job.as_dict(), "id": job.job_id} for job in found]
        self.store(context, "store_as", "pending_jobs", items)
        return self.event("success", "jobs_found") if items else self.empty_event()

    def watch_key(self) -> Hashable:
        """Return the kind of jobs that it lists."""
        return self.text("job_type"), self.text("machine_type")
