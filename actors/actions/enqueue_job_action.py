"""The `enqueue_job` action: adds a job to the queue."""

from __future__ import annotations

from typing import Any

from ..jobs.job_context import current_job_id
from .base import DURATION, NUMBER, Context
from .builtin import BuiltinAction


class EnqueueJobAction(BuiltinAction):
    """Adds a job, stores its id in the context and causes `job_enqueued`."""

    keys = {
        "job_type": "its type",
        "job_id": "its id (default: a new one is made up)",
        "data": "what the worker gets, any JSON value",
        "payload": "the same as data",
        "machine_type": "the kind of machine that may take it (default: any)",
        "priority": "1 goes first (5)",
        "delay": "how long it waits before it may be taken (0)",
        "max_attempts": "how often it is tried (3)",
        "time_limit": "how long one attempt may take (default: any time)",
        "backoff": "the first wait between attempts (default: the worker's, 10 seconds)",
        "unique_key": "no second unfinished job of this key",
        "source_job_id": "the job it comes from (default: the current one)",
        "metadata": "further data about the job",
        "store_as": "context key for its id (enqueued_job_id)",
        "success": "event afterwards (job_enqueued)",
    }
    events = {"success": "job_enqueued"}
    value_kinds = {
        "delay": DURATION,
        "time_limit": DURATION,
        "backoff": DURATION,
        "priority": NUMBER,
        "max_attempts": NUMBER,
    }
    required_keys = ("job_type",)
    same_as = {"payload": "data"}
    stores = {"store_as": "enqueued_job_id"}

    def execute(self, context: Context) -> str | None:
        job = self.services.jobs.enqueue(self.text("job_id"), str(self.required("job_type")), **self._options(context))
        self.store(context, "store_as", "enqueued_job_id", job.job_id)
        return self.event("success", "job_enqueued")

    def _options(self, context: Context) -> dict[str, Any]:
        return {
            "machine_type": self.text("machine_type"),
            "data": self.config.get("data", self.config.get("payload")),
            "source_job_id": self.text("source_job_id") or current_job_id(context),
            "priority": self.whole("priority", 5),
            "delay_s": self.duration_s("delay", 0),
            "max_attempts": self.whole("max_attempts"),
            "time_limit_s": self.duration_s("time_limit", 0),
            "backoff_s": self.wait_s("backoff"),
            "unique_key": self.text("unique_key"),
            "metadata": self.config.get("metadata"),
        }
