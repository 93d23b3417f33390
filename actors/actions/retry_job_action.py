"""The `retry_job` action: the job goes back into the queue for another attempt."""

from __future__ import annotations

from ..jobs.job_context import current_job_id, drop
from ..placeholders.interpolation import text_of
from .base import Context
from .builtin import BuiltinAction


class RetryJobAction(BuiltinAction):
    """Gives the current job back, or another one by its id, and yields `success`, or `spent` where it failed for good.

    It fails for good when its attempts are spent.
    """

    keys = {
        "job_id": "the job (default: the current one)",
        "delay": "how long it waits before it may be taken again (default: its back-off)",
        "reason": "why (default: the last error)",
        "success": "event when it will be tried again (success)",
        "spent": "event when its attempts are spent (attempts_spent)",
    }
    events = {"success": "success", "spent": "attempts_spent"}

    def execute(self, context: Context) -> str | None:
        """Gives it back."""
        job_id = self.job_id(context)
        reason = self.config.get("reason") or context.get("last_error")
        job = self.services.jobs.retry(
            job_id, delay_s=self.wait_s("delay"), reason=None if reason is None else text_of(reason).strip()
        )
        if job_id == current_job_id(context):
            drop(context)
        return self.event("spent", "attempts_spent") if job.status == "failed" else self.event("success", "success")
