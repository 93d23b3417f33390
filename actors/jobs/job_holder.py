"""The jobs that one machine claims, and the rule by which an unfinished one ends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from ...storage import jobs
from ...storage.clock import epoch_or_zero
from ...storage.errors import CommitInDoubt, JobNotFound, LeaseLost
from ...storage.jobs import Job
from ..processes.command import OutputTail

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ..concurrency.cancel_token import CancelToken
    from ..concurrency.timers import Timer, Timers
    from ..concurrency.wait_board import WaitBoard

log = logging.getLogger(__name__)

DEFAULT_LEASE_S = 60.0

#: a shorter lease could not be renewed in time
SHORTEST_LEASE_S = 1.0

#: bytes of its commands' output that are kept with an attempt, counted from the end
OUTPUT_BYTES = 4096

Publish = Callable[[str, str, Mapping[str, Any]], None]
"""Writes an audit row: machine, type, payload."""

Notify = Callable[[str, tuple[str | None, ...], int], None]
"""Notifies waiting actions here and in other processes: topic, key, number of new things."""


class JobOverdue(NamedTuple):
    """The message to a machine's actor that the attempt at its job has exceeded its time limit."""

    job_id: str
    attempt: int


class JobHolder:
    """The jobs of one machine; its methods may be called from any thread.

    A job that the machine claimed is *current* until the machine asks for the next one or ends. A current job that no
    action completed or failed is then completed; failed, if an action failed unmapped while it was current; or tried
    again, if its actions were interrupted.
    """

    def __init__(
        self,
        machine: str,
        db: Database,
        incarnation: str,
        *,
        timers: Timers,
        wait_board: WaitBoard,
        tell: Callable[[JobOverdue], object],
        publish: Publish,
        notify: Notify,
        lease_taken: Callable[[float], None],
    ) -> None:
        """`tell` puts a message into the actor's inbox; `lease_taken` has a lease of this length renewed in time."""
        self.machine = machine
        self.current: Job | None = None
        #: True once the runtime stops: nothing is claimed any more
        self.closed = False
        self._db, self._incarnation = db, incarnation
        self._timers, self._wait_board = timers, wait_board
        self._tell, self._publish_row, self._notify, self._lease_taken = tell, publish, notify, lease_taken
        self._failure: str | None = None
        self._cut_off = False
        self._output: OutputTail | None = None
        self._time_limit: Timer | None = None
        #: the last job that the machine lost while its actions ran: they can no longer change it
        self._lost: Job | None = None
        #: True after a claim whose commit may or may not have happened
        self._in_doubt = False
        self._lock = threading.Lock()

    def claim(
        self,
        job_type: str | None = None,
        machine_type: str | None = None,
        *,
        job_id: str | None = None,
        lease_s: float = DEFAULT_LEASE_S,
        max_attempts: int | None = None,
        backoff_s: float | None = None,
        cancel: CancelToken | None = None,
    ) -> Job | None:
        """Finish the current job by the rule and claim the next one, or that of this id, in one transaction.

        `cancel` is the token of the run that asks: nothing is claimed once it is set, because nobody would use the job.
        `max_attempts` and `backoff_s` are for a job that has none. Return None if no such job waits.
        """
        with self._lock:
            if cancel is not None and cancel.cancelled:
                return None
            if job_id is not None and self.current is not None and self.current.job_id == job_id:
                return self.current
            job = self._claim(
                job_id=job_id, job_type=job_type, machine_type=machine_type, lease_s=max(lease_s, SHORTEST_LEASE_S),
                max_attempts=max_attempts, backoff_s=backoff_s,
            )  # fmt: skip
            if job is not None and job_id is None:
                self._wait_board.pass_on("jobs", (job_type, machine_type))  # the next worker may find another job
            return job

    def complete(self, job_id: str, result: Any = None) -> Job:
        """Complete a job by its id. LeaseLost if it was taken from this machine."""
        job = self._end(job_id, jobs.complete, result=result)
        if job.status != "completed":
            raise LeaseLost(job_id)
        return job

    def fail(self, job_id: str, reason: str) -> Job:
        """Fail a job by its id; one that was taken from this machine stays as it is. LeaseLost."""
        return self._end(job_id, jobs.fail, reason=reason)

    def retry(self, job_id: str, *, delay_s: float | None = None, reason: str | None = None) -> Job:
        """Queue a job for another attempt after `delay_s` or its back-off; it fails when its attempts are spent.

        One that was taken from this machine stays as it is. LeaseLost.
        """
        return self._end(job_id, jobs.retry, delay_s=delay_s, reason=reason)

    def release(self) -> None:
        """Put the current job back into the queue without spending an attempt: the machine stops in the middle."""
        with self._lock:
            if self.current is None:
                return
            try:
                jobs.release(self._db, self.current.job_id, **self._fence(self.current.job_id))
            except (JobNotFound, LeaseLost) as error:
                log.warning("%s: %s", self.machine, error)
            self._clear(lost=self._cut_off)

    def finish(self, *, failure: str | None = None) -> None:
        """Finish the current job by the rule, because the machine ends; `failure` is why the machine failed."""
        with self._lock:
            if failure is not None and self.current is not None:
                self._failure = self._failure or failure
            self._finish()

    def lose(self, job_id: str, attempt: int) -> bool:
        """Forget the job, which was taken from the machine; return False if it is not current in this attempt."""
        with self._lock:
            if not self._has(job_id, attempt):
                return False
            self._clear(lost=True)
            return True

    def time_out(self, job_id: str, attempt: int) -> str | None:
        """End the attempt that exceeded its time limit; return the reason, None if it is not current any more."""
        with self._lock:
            if not self._has(job_id, attempt):
                return None
            try:
                ended = jobs.time_out(self._db, job_id, **self._fence(job_id))
            except (JobNotFound, LeaseLost) as error:
                self._clear(lost=True)
                return str(error)
            self._clear(lost=True)
        self._announce(ended)
        return f"Job {job_id} {ended.error_message}"

    def adopt(self, job: Job, *, failure: str | None = None, cut_off: bool = False) -> None:
        """Make a job current that this process already holds: its parent's, or that of its previous life.

        LeaseLost, JobNotFound.
        """
        lease_s = DEFAULT_LEASE_S
        with self._lock:
            try:
                owner, attempt = self._incarnation, job.attempts
                lease_s = jobs.assign(self._db, job.job_id, self.machine, owner=owner, attempt=attempt)
            finally:  # after the store has the new holder; but also if that failed, since somebody must hold it
                self._set_current(job, lease_s)
                self._failure, self._cut_off = failure, cut_off

    def detach(self, job_id: str | None) -> Job | None:
        """Return the current job and forget it, unfinished, so that another machine can adopt it; None if it is not."""
        with self._lock:
            job = self.current
            if job is None or job.job_id != job_id:
                return None
            self._clear()
            return job

    def enqueue(self, job_id: str | None, job_type: str, **options: Any) -> Job:
        """Add a job and notify a worker; `options` are those of storage.jobs.enqueue. JobExists."""
        job = jobs.enqueue(self._db, job_id, job_type, **options)
        self._notify("jobs", (job.job_type, job.machine_type), 1)
        return job

    def output_sink(self) -> Callable[[bytes], None] | None:
        """Return the function that keeps a command's output with the attempt at the current job; None without one."""
        with self._lock:
            if self.current is None:
                return None
            self._output = self._output or OutputTail(OUTPUT_BYTES)
            return self._output.add

    def note_failure(self, reason: str) -> None:
        """Remember that an action failed unmapped: the current job fails, unless an action finishes it."""
        with self._lock:
            if self.current is not None and self._failure is None:
                self._failure = reason

    def note_cut_off(self) -> None:
        """Remember that a run was cancelled: the current job is tried again, unless an action finishes it.

        Call it after the run's token was set: each claim of that run is then either known here or refused.
        """
        with self._lock:
            self._cut_off = self.current is not None

    @property
    def standing(self) -> tuple[str | None, bool]:
        """The reason why the current job has failed, and True if its actions were interrupted."""
        return self._failure, self._cut_off

    # Helpers

    def _end(self, job_id: str, end: Callable[..., Job], **options: Any) -> Job:
        with self._lock:
            if (lost := self._lost_job(job_id)) is not None:
                return lost
            job = end(self._db, job_id, **self._fence(job_id), **options)
            self._clear(job_id)
        self._announce(job)
        return job

    def _claim(self, *, lease_s: float, **options: Any) -> Job | None:
        """Finish the current job and make the claimed one current; only finish it while the runtime stops."""
        if self.closed:
            self._finish()
            return None
        with self._repeatable(), self._db.write():
            finished = self._finish_in_store()
            job = jobs.claim(self._db, owner=self._incarnation, machine=self.machine, lease_s=lease_s, **options)
        self._clear(lost=self._cut_off)
        self._announce(finished)
        if job is not None:
            self._set_current(job, lease_s)
            self._publish("job_started", job)
        return job

    @contextmanager
    def _repeatable(self) -> Iterator[None]:
        """Release first what an earlier claim may have taken if its answer was lost.

        Nobody else would take that job, since its lease is renewed as long as this process lives.
        """
        if self._in_doubt:
            current = None if self.current is None else self.current.job_id
            jobs.release_owner(self._db, self._incarnation, machine=self.machine, but=current)
            self._in_doubt = False
        try:
            yield
        except CommitInDoubt:
            self._in_doubt = True
            raise

    def _finish(self) -> None:
        finished = self._finish_in_store()
        self._clear(lost=self._cut_off)
        self._announce(finished)

    def _finish_in_store(self) -> Job | None:
        """Complete, fail or retry the current job by the rule; None if there is none, or another worker has it.

        The job stays current until this is committed, so that a failed write is repeated the next time.
        """
        job = self.current
        if job is None:
            return None
        try:
            if self._failure is not None:
                return jobs.fail(self._db, job.job_id, self._failure, **self._fence(job.job_id))
            if self._cut_off:
                return jobs.retry(self._db, job.job_id, **self._fence(job.job_id), reason="it was cut off")
            return jobs.complete(self._db, job.job_id, **self._fence(job.job_id))
        except (JobNotFound, LeaseLost) as error:
            log.warning("%s: %s", self.machine, error)
            return None

    def _fence(self, job_id: str) -> dict[str, Any]:
        """Return the condition of a write: the current job must still be ours; for any other job there is none."""
        job = self.current
        if job is None or job.job_id != job_id:
            return {"owner": None, "attempt": None, "output": None}
        output = None if self._output is None else self._output.text().decode("utf-8", "replace")
        return {"owner": self._incarnation, "attempt": job.attempts, "output": output}

    def _has(self, job_id: str, attempt: int) -> bool:
        return self.current is not None and (self.current.job_id, self.current.attempts) == (job_id, attempt)

    def _lost_job(self, job_id: str) -> Job | None:
        return self._lost if self._lost is not None and self._lost.job_id == job_id else None

    def _set_current(self, job: Job, lease_s: float) -> None:
        self._clear()
        self.current = job
        if self._lost_job(job.job_id) is not None:
            self._lost = None
        if job.time_limit_s is not None:
            left_s = epoch_or_zero(job.started_at) + job.time_limit_s - self._db.now()
            overdue = JobOverdue(job.job_id, job.attempts)
            self._time_limit = self._timers.after(max(0.0, left_s), lambda: self._tell(overdue))
        self._lease_taken(lease_s)

    def _clear(self, job_id: str | None = None, *, lost: bool = False) -> None:
        """Forget the current job (if it has this id); if `lost`, its actions can no longer change it."""
        if job_id is not None and (self.current is None or self.current.job_id != job_id):
            return
        if lost:
            self._lost = self.current
        self.current, self._failure, self._cut_off, self._output = None, None, False, None
        if self._time_limit is not None:
            self._time_limit.cancel()
            self._time_limit = None

    def _announce(self, job: Job | None) -> None:
        """Publish that the job has ended and notify those who wait for it; notify a worker if it is pending again."""
        if job is None:
            return
        if job.status in ("completed", "failed"):
            self._publish(f"job_{job.status}", job)
            self._notify("done", (job.job_id,), 1)
        elif job.status == "pending":
            self._notify("jobs", (job.job_type, job.machine_type), 1)

    def _publish(self, type: str, job: Job) -> None:
        payload: dict[str, Any] = {"job_id": job.job_id, "job_type": job.job_type}
        if type == "job_failed":
            payload["error_message"] = job.error_message
        self._publish_row(self.machine, type, payload)
