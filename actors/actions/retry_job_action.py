"""The `retry_job` action: puts a job back into the queue for another attempt."""

from __future__ import annotations

from ..jobs.job_context import current_job_id, remove_job
from ..placeholders.interpolation import text_of
from .base import DURATION, Context
from .builtin import BuiltinAction


class RetryJobAction(BuiltinAction):
    """Queues the current job, or another one by its id, for another attempt, and causes `success`.

    A job whose attempts are spent fails instead and causes `attempts_spent`.
    """

    keys = {
        "job_id": "the job (default: the current one)",
        "delay": "how long it waits before it may be taken again (default: its back-off)",
        "reason": "why (default: the last error)",
        "success": "event when it will be tried again (success)",
        "spent": "event when its attempts are spent (attempts_spent)",
    }
    events = {"success": "success", "spent": "attempts_spent"}
    value_kinds = {"delay": DURATION}

    def execute(self, context: Context) -> str | None:
        job_id = self.job_id(context)
        reason = self.config.get("reason") or context.get("last_error")
        job = self.services.jobs.retry(
            job_id, delay_s=self.wait_s("delay"), reason=None if reason is None else text_of(reason).strip()
        )
        if job_id == current_job_id(context):
            remove_job(context)
        return self.event("spent", "attempts_spent") if job.status == "failed" else self.event("success", "success")
