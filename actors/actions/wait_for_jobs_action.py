"""The `wait_for_jobs` action: waits until other jobs have ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...storage import jobs
from ..errors import ActionError
from .base import DURATION, Context
from .builtin import BuiltinAction

_WAIT = "_wait_for_jobs"
_LOOK_S = 60.0
_ENDED_BADLY = ("failed", "cancelled")


class WaitForJobsAction(BuiltinAction):
    """Causes `all_jobs_complete` when all tracked jobs have ended, `no_jobs_tracked` if none is tracked.

    Stores `completed_jobs`, `failed_jobs` and `pending_jobs`, lists of ids, in the context.
    """

    keys = {
        "tracked_jobs_key": "context key of the list of job ids (spawned_jobs)",
        "timeout": "how long to wait (default: 300 seconds); 0 for ever",
        "success": "event when all have ended (all_jobs_complete)",
        "pending": "event while some have not (default: none)",
        "timeout_event": "event when the time is over (default: none)",
        "no_jobs_tracked": "event when there are none (no_jobs_tracked)",
        "poll_interval": "accepted from older files: it wakes by itself",
    }
    events = {
        "success": "all_jobs_complete",
        "pending": "",
        "timeout_event": "",
        "no_jobs_tracked": "no_jobs_tracked",
    }
    value_kinds = {"timeout": DURATION}
    stores = {"tracked_jobs_key": "spawned_jobs"}
    sets = ("completed_jobs", "failed_jobs", "pending_jobs")
    watch = "done"

    def execute(self, context: Context) -> str | None:
        tracked = self._tracked(context)
        if not tracked:
            context.pop(_WAIT, None)
            return self.event("no_jobs_tracked", "no_jobs_tracked")
        if not self._sort(tracked, context):
            context.pop(_WAIT, None)
            return self.event("success", "all_jobs_complete")
        if self._left_s(self._wait(tracked, context)) > 0:
            return self.empty_event()
        context.pop(_WAIT)
        return self.text("timeout_event")

    def empty_event(self) -> str | None:
        """Return the event in `pending:`, or None."""
        return self.text("pending")

    def recheck_after_s(self, context: Mapping[str, Any]) -> float | None:
        """Return the seconds until the time limit, at most _LOOK_S."""
        wait = context.get(_WAIT)
        return _LOOK_S if wait is None else min(self._left_s(wait), _LOOK_S)

    def _tracked(self, context: Context) -> list[str]:
        items = context.get(self.text("tracked_jobs_key") or "spawned_jobs") or []
        if not isinstance(items, list):
            raise ActionError(f"'{self.text('tracked_jobs_key') or 'spawned_jobs'}' in the context is no list")
        return [str(item.get("job_id") or item.get("id") if isinstance(item, Mapping) else item) for item in items]

    def _sort(self, tracked: list[str], context: Context) -> list[str]:
        """Put the jobs by their status into the context, and return those that have not ended."""
        status = jobs.statuses(self.services.db, tracked)
        completed = [job_id for job_id in tracked if status.get(job_id) == "completed"]
        failed = [job_id for job_id in tracked if status.get(job_id) in _ENDED_BADLY]
        pending = [job_id for job_id in tracked if job_id not in {*completed, *failed}]
        context.update(completed_jobs=completed, failed_jobs=failed)
        if not _is_job_list(context.get("pending_jobs")):
            context["pending_jobs"] = pending
        return pending

    def _wait(self, tracked: list[str], context: Context) -> dict[str, Any]:
        """Return the wait under way; begin a new one for other jobs, in another state, or after a long pause."""
        now_s = self.services.db.now()
        what = {"jobs": tracked, "state": context.get("current_state")}
        wait: dict[str, Any] | None = context.get(_WAIT)
        if not wait or {**wait, **what} != wait or now_s > wait["seen"] + 2 * _LOOK_S:
            wait = {**what, "since": now_s}
        context[_WAIT] = wait = {**wait, "seen": now_s}
        return wait

    def _left_s(self, wait: Mapping[str, Any]) -> float:
        limit_s = self.duration_s("timeout", 300) or float("inf")
        return float(wait["since"]) + limit_s - self.services.db.now()


def _is_job_list(value: Any) -> bool:
    """Return True for a list that `get_pending_jobs` stored under the same name, and that must be kept."""
    return isinstance(value, list) and any(isinstance(item, Mapping) for item in value)
