"""The `complete_job` action: completes a job."""

from __future__ import annotations

from .base import Context
from .builtin import BuiltinAction


class CompleteJobAction(BuiltinAction):
    """Completes the current job, or another one by its id, and causes `success`.

    The job stays readable in the context until the machine asks for the next one.
    """

    keys = {
        "job_id": "the job (default: the current one)",
        "result": "what came of it, any JSON value",
        "success": "event afterwards (success)",
    }
    events = {"success": "success"}

    def execute(self, context: Context) -> str | None:
        self.services.jobs.complete(self.job_id(context), self.config.get("result"))
        return self.event("success", "success")
