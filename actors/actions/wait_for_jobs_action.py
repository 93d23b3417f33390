"""The `wait_for_jobs` action: waits until other jobs have ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...storage import jobs
from ..errors import ActionError
from .base import Context
from .builtin import BuiltinAction

_WAIT = "_wait_for_jobs"
_LOOK_S = 60.0
_ENDED_BADLY = ("failed", "cancelled")


class WaitForJobsAction(BuiltinAction):
    """Yields `all_jobs_complete` once no tracked job is left to wait for, `no_jobs_tracked` where none is tracked.

    Keeps `completed_jobs`, `failed_jobs` and `pending_jobs`, lists of ids, in the context.
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
    stores = {"tracked_jobs_key": "spawned_jobs"}
    sets = ("completed_jobs", "failed_jobs", "pending_jobs")
    watch = "done"

    def execute(self, context: Context) -> str | None:
        """Looks once."""
        tracked = self._tracked(context)
        if not tracked:
            context.pop(_WAIT, None)
            return self.event("no_jobs_tracked", "no_jobs_tracked")
        if not self._note(tracked, context):
            context.pop(_WAIT, None)
            return self.event("success", "all_jobs_complete")
        if self._left_s(self._wait(tracked, context)) > 0:
            return self.empty_event()
        context.pop(_WAIT)
        return self.text("timeout_event")

    def empty_event(self) -> str | None:
        """None unless `pending:` says otherwise."""
        return self.text("pending")

    def recheck_after_s(self, context: Mapping[str, Any]) -> float | None:
        """At the time limit, and now and then before it."""
        wait = context.get(_WAIT)
        return _LOOK_S if wait is None else min(self._left_s(wait), _LOOK_S)

    def _tracked(self, context: Context) -> list[str]:
        items = context.get(self.text("tracked_jobs_key") or "spawned_jobs") or []
        if not isinstance(items, list):
            raise ActionError(f"'{self.text('tracked_jobs_key') or 'spawned_jobs'}' in the context is no list")
        return [str(item.get("job_id") or item.get("id") if isinstance(item, Mapping) else item) for item in items]

    def _note(self, tracked: list[str], context: Context) -> list[str]:
        """Puts the jobs, sorted by what became of them, into the context; returns those to wait for."""
        status = jobs.statuses(self.services.db, tracked)
        completed = [job_id for job_id in tracked if status.get(job_id) == "completed"]
        failed = [job_id for job_id in tracked if status.get(job_id) in _ENDED_BADLY]
        pending = [job_id for job_id in tracked if job_id not in {*completed, *failed}]
        context.update(completed_jobs=completed, failed_jobs=failed)
        if not _is_job_list(context.get("pending_jobs")):
            context["pending_jobs"] = pending
        return pending

    def _wait(self, tracked: list[str], context: Context) -> dict[str, Any]:
        """The wait that goes on, or a new one: for other jobs, in another state, or not looked at for a long time."""
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
    """Whether it is what `get_pending_jobs` stores under the same name, which is not to be lost."""
    return isinstance(value, list) and any(isinstance(item, Mapping) for item in value)
