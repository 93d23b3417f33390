"""The `fail_job` action: fails a job, which is not tried again."""

from __future__ import annotations

from ..placeholders.interpolation import text_of
from .base import Context
from .builtin import BuiltinAction


class FailJobAction(BuiltinAction):
    """Fails the current job, or another one by its id, and causes `success`.

    The job stays readable in the context until the machine asks for the next one.
    """

    keys = {
        "job_id": "the job (default: the current one)",
        "reason": "why (default: the last error)",
        "success": "event afterwards (success)",
    }
    events = {"success": "success"}

    def execute(self, context: Context) -> str | None:
        reason = self.config.get("reason") or context.get("last_error") or "failed by its machine"
        self.services.jobs.fail(self.job_id(context), text_of(reason).strip())
        return self.event("success", "success")
