"""The `claim_job` action: claims a job by its id."""

from __future__ import annotations

from ..jobs.job_context import put_job
from .base import DURATION, NUMBER, Context
from .builtin import BuiltinAction


class ClaimJobAction(BuiltinAction):
    """Claims the job, puts it into the context and causes `claimed`; `already_claimed` if it is not waiting."""

    keys = {
        "job_id": "the job",
        "lease": "for how long the job is held between renewals (60 seconds)",
        "max_attempts": "how often it is tried unless it says so itself (3)",
        "backoff": "the first wait between its attempts unless it says so itself (10 seconds)",
        "success": "event when it was taken (claimed)",
        "already_claimed": "event when it was not (already_claimed)",
    }
    events = {"success": "claimed", "already_claimed": "already_claimed"}
    value_kinds = {"lease": DURATION, "backoff": DURATION, "max_attempts": NUMBER}
    required_keys = ("job_id",)

    def execute(self, context: Context) -> str | None:
        job = self.services.jobs.claim(
            job_id=str(self.required("job_id")),
            lease_s=self.duration_s("lease", 60),
            max_attempts=self.whole("max_attempts"),
            backoff_s=self.wait_s("backoff"),
            cancel=self.services.cancel,
        )
        if job is None:
            return self.event("already_claimed", "already_claimed")
        put_job(context, job)
        return self.event("success", "claimed")
