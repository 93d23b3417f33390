"""React to failures and events that no transition takes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ...storage.errors import StorageError

if TYPE_CHECKING:
    from ..definition.model import Definition
    from ..jobs.job_holder import JobHolder, JobOverdue
    from .action_run import Pause
    from .audit_records import AuditRecords
    from .dependencies import MachineDependencies
    from .state_visit import StateVisit

log = logging.getLogger(__name__)

#: seconds until a job that has exceeded its time limit is looked at again, if the store could not be written
OVERDUE_AGAIN_S = 1.0


class FailurePolicy:
    """The `on_error` and `on_unhandled` of one machine; used in the actor's thread."""

    def __init__(self, definition: Definition, dependencies: MachineDependencies, records: AuditRecords) -> None:
        self._policy = definition.on_error
        self._fails_on_unhandled = definition.on_unhandled == "error"
        self._dependencies = dependencies
        self._status = dependencies.status
        self._records = records
        self._record = dependencies.resources.recorder.record

    def retry_delay(self, visit: StateVisit, reason: str) -> float | None:
        """Count and log another retry of the visit's actions; return its delay in seconds, None if all are used up."""
        visit.retries += 1
        if visit.retries > self._policy.max:
            return None
        delay_s = self._policy.delay_before(visit.retries)
        log.warning(
            "%s: %s; no transition takes its event in state %s: try %d of %d in %g s",
            self._status.name, reason, self._status.state, visit.retries, self._policy.max, delay_s,
        )  # fmt: skip
        return delay_s

    def note_retry(self, pause: Pause) -> None:
        """Log and record that an action failed and is tried again."""
        log.warning("%s: %s in state %s: %s", self._status.name, pause.action, self._status.state, pause)
        job = self._dependencies.job_holder.current
        self._record(self._records.retrying(self._status.state, pause, None if job is None else job.job_id))

    def mark_failed(self, message: str) -> None:
        """Mark the machine as failed in its state, where it goes on to answer events."""
        log.error("%s: failed in state %s: %s", self._status.name, self._status.state, message)
        self._status.status, self._status.last_error = "failed", message
        self.settle_job(lambda job_holder: job_holder.finish(failure=message))
        self._dependencies.report_status("failed")
        self._record(self._records.failed(self._status.state, message), self._records.state(self._status.state))

    def note_unhandled(self, event: str, details: Mapping[str, Any]) -> str | None:
        """Count, log and record an event that no transition takes; return the error that it is by `on_unhandled`."""
        self._status.unhandled += 1
        log.info("%s: no transition takes event %s in state %s", self._status.name, event, self._status.state)
        self._record(self._records.unhandled(event, self._status.state, details))
        return f"no transition takes event {event} in state {self._status.state}" if self._fails_on_unhandled else None

    def time_out_job(self, message: JobOverdue, tell: Callable[[JobOverdue], None]) -> str | None:
        """End the attempt at a job that has exceeded its time limit; return the reason, None if nothing is to be done.

        If the store fails, `tell` gets the message again after OVERDUE_AGAIN_S.
        """
        try:
            return self._dependencies.job_holder.time_out(message.job_id, message.attempt)
        except StorageError as error:
            text = "%s: job %s has exceeded its time limit, which cannot be stored: %s"
            log.error(text, self._status.name, message.job_id, error)
            self._dependencies.resources.timers.after(OVERDUE_AGAIN_S, lambda: tell(message))
            return None

    def settle_job(self, settle: Callable[[JobHolder], None]) -> None:
        """Call `settle` with the job holder; log it if the store fails."""
        try:
            settle(self._dependencies.job_holder)
        except StorageError as error:
            log.error("%s: cannot settle its job: %s", self._status.name, error)
