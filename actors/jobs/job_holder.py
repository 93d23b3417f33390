"""A machine's hold on its jobs: claiming, finishing, and what becomes of one that nobody finished."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

from ...storage import jobs
from ...storage.errors import CommitInDoubt, JobNotFound, LeaseLost
from ...storage.jobs import Job
from ..processes.command import OutputTail

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ..concurrency.cancel_token import CancelToken
    from ..concurrency.timers import Timer

log = logging.getLogger(__name__)

DEFAULT_LEASE_S = 60.0

#: a shorter lease could not be renewed in time
SHORTEST_LEASE_S = 1.0

#: so much of what a job's commands write is kept with the attempt, counted from the end
OUTPUT_BYTES = 4096


class Fence(TypedDict):
    """Whose the job must still be, in which attempt, and what that one wrote; None: an operator's word."""

    owner: str | None
    attempt: int | None
    output: str | None


class OwnFence(TypedDict):
    """A worker's own."""

    owner: str
    attempt: int
    output: str | None


class JobBells(Protocol):
    """Whom a desk tells what happened to a job."""

    db: Database
    incarnation: str

    def publish(self, machine: str, type: str, payload: Mapping[str, Any]) -> None:
        """Write a row of the audit log."""

    def wake(self, topic: str, key: tuple[str | None, ...], count: int) -> None:
        """Ring the parked machines that watch for this."""

    def pass_on(self, job_type: str | None, machine_type: str | None) -> None:
        """A worker found a job where it looked: the next one that waits there may find another."""

    def lease_taken(self, lease_s: float) -> None:
        """A lease of this length is held from now on and must be renewed in time."""

    def limit(self, machine: str, job: Job) -> Timer:
        """Tell the machine when its attempt at the job has taken as long as it may."""


class JobHolder:
    """The jobs of one machine. A job that it claimed is *current* until it asks for the next one or ends.

    Rule (DESIGN 2, "Jobs are leased"): a current job that no action completed or failed is completed when the machine
    asks for the next one or ends in order, and failed when an action failed, unmapped, while it was current. One whose
    actions were cut off by an interrupt was not done: it is tried again.
    """

    def __init__(self, machine: str, bells: JobBells) -> None:
        self.machine = machine
        self.current: Job | None = None
        #: no claims from now on: the runtime is stopping
        self.closed = False
        self._bells = bells
        self._failure: str | None = None
        self._cut_off = False
        self._output: OutputTail | None = None
        self._limit: Timer | None = None
        #: the last job that was taken from the machine, or went cut off: nothing is written to it any more
        self._lost: Job | None = None
        #: whether the last claim took a job is not known
        self._in_doubt = False
        self._lock = threading.Lock()

    def claim(
        self,
        job_type: str | None = None,
        machine_type: str | None = None,
        lease_s: float = DEFAULT_LEASE_S,
        max_attempts: int | None = None,
        backoff_s: float | None = None,
        cancel: CancelToken | None = None,
    ) -> Job | None:
        """Settle the current job and claim the next one, in one transaction; None when there is none to be had.

        `cancel` is the run's on whose behalf it is asked: once set, nobody would learn of the job.
        """
        lease_s = max(lease_s, SHORTEST_LEASE_S)
        with self._lock:
            if cancel is not None and cancel.cancelled:
                return None
            if self.closed:
                self._settle()
                return None
            with self._sure(), self._bells.db.write():
                settled = self._settled()
                job = jobs.claim(
                    self._bells.db,
                    owner=self._bells.incarnation,
                    machine=self.machine,
                    job_type=job_type,
                    machine_type=machine_type,
                    lease_s=lease_s,
                    max_attempts=max_attempts,
                    backoff_s=backoff_s,
                )
            self._part()
            self._announce_end(settled)
            if job is not None:
                self._bells.pass_on(job_type, machine_type)
            return self._hold(job, lease_s)

    def claim_id(
        self,
        job_id: str,
        lease_s: float = DEFAULT_LEASE_S,
        max_attempts: int | None = None,
        backoff_s: float | None = None,
        cancel: CancelToken | None = None,
    ) -> Job | None:
        """Settle the current job and claim this one; None when it is not waiting (any more). `cancel` as in `claim`."""
        lease_s = max(lease_s, SHORTEST_LEASE_S)
        with self._lock:
            if cancel is not None and cancel.cancelled:
                return None
            if self.current is not None and self.current.job_id == job_id:
                return self.current
            self._settle()
            if self.closed:
                return None
            with self._sure():
                job = jobs.claim_id(
                    self._bells.db,
                    job_id,
                    owner=self._bells.incarnation,
                    machine=self.machine,
                    lease_s=lease_s,
                    max_attempts=max_attempts,
                    backoff_s=backoff_s,
                )
            return self._hold(job, lease_s)

    def complete(self, job_id: str, result: Any = None) -> Job:
        """Complete a job; the current one only while its lease is still ours (LeaseLost), any other by its id."""
        with self._lock:
            if self._lost_as(job_id) is not None:
                raise LeaseLost(job_id)
            job = jobs.complete(self._bells.db, job_id, **self._fence(job_id), result=result)
            self._let_go(job_id)
        self._announce("job_completed", job)
        return job

    def fail(self, job_id: str, reason: str) -> Job:
        """Fail a job; the current one only while its lease is still ours (LeaseLost), any other by its id.

        One that was taken from the machine is left as it is: its fate is decided.
        """
        with self._lock:
            if (lost := self._lost_as(job_id)) is not None:
                return lost
            job = jobs.fail(self._bells.db, job_id, reason, **self._fence(job_id))
            self._let_go(job_id)
        self._announce("job_failed", job)
        return job

    def retry(self, job_id: str, *, delay_s: float | None = None, reason: str | None = None) -> Job:
        """Give a job back for another attempt after `delay_s`, or its back-off; it fails when its attempts are spent.

        One that was taken from the machine is left as it is: its fate is decided.
        """
        with self._lock:
            if (lost := self._lost_as(job_id)) is not None:
                return lost
            job = jobs.retry(self._bells.db, job_id, **self._fence(job_id), delay_s=delay_s, reason=reason)
            self._let_go(job_id)
        self._announce_end(job)
        return job

    def enqueue(self, job_id: str | None, job_type: str, **options: Any) -> Job:
        """Add a job and ring the workers; `options` are those of storage.jobs.enqueue. Raises JobExists."""
        job = jobs.enqueue(self._bells.db, job_id, job_type, **options)
        self._bells.wake("jobs", (job.job_type, job.machine_type), 1)
        return job

    def output_sink(self) -> Callable[[bytes], None] | None:
        """What takes the output of a command that starts now, for the attempt at the current job; None without one."""
        with self._lock:
            if self.current is None:
                return None
            self._output = self._output or OutputTail(OUTPUT_BYTES)
            return self._output.add

    def note_failure(self, reason: str) -> None:
        """An action failed, unmapped: the current job, if nobody settles it otherwise, has failed."""
        with self._lock:
            if self.current is not None and self._failure is None:
                self._failure = reason

    def note_cut_off(self) -> None:
        """A run was cancelled while the job was current: if nobody settles it otherwise, it is tried again.

        To be called after the run's token is set: then its claims are either known here, or refused.
        """
        with self._lock:
            self._cut_off = self.current is not None

    @property
    def standing(self) -> tuple[str | None, bool]:
        """How it stands with the current job: why it has failed, and whether its actions were cut off."""
        return self._failure, self._cut_off

    def lose(self, job_id: str, attempt: int) -> bool:
        """Forget the job, which was taken from the machine; False when it is not current in this attempt (any more)."""
        with self._lock:
            if not self._has(job_id, attempt):
                return False
            self._lose()
            return True

    def time_out(self, job_id: str, attempt: int) -> str | None:
        """End the attempt, which took too long, and forget the job; why, None when it is not current (any more)."""
        with self._lock:
            job = self.current
            if job is None or not self._has(job_id, attempt):
                return None
            try:
                ended = jobs.time_out(self._bells.db, job_id, **self._own(job))
            except (JobNotFound, LeaseLost) as error:
                self._lose()
                return str(error)
            self._lose()
        self._announce_end(ended)
        return f"Job {job_id} {ended.error_message}"

    def adopt(self, job: Job, *, failure: str | None = None, cut_off: bool = False) -> None:
        """Make a job that another machine of this runtime, or an earlier life of this one, has this one's current.

        LeaseLost, JobNotFound.
        """
        lease_s = DEFAULT_LEASE_S
        with self._lock:
            try:
                owner, attempt = self._bells.incarnation, job.attempts
                lease_s = jobs.assign(self._bells.db, job.job_id, self.machine, owner=owner, attempt=attempt)
            finally:  # held only when the store says so, lest it be taken for another's; but in any case by somebody
                self._hold(job, lease_s, announce=False)
                self._failure, self._cut_off = failure, cut_off

    def hand_over(self, job_id: str | None) -> Job | None:
        """Give up the current job without settling it, to a machine that was started for it."""
        with self._lock:
            job = self.current
            if job is None or job.job_id != job_id:
                return None
            self._let_go(job.job_id)
            return job

    def settle(self, *, failure: str | None = None) -> None:
        """The machine ends: settle what is current."""
        with self._lock:
            if failure is not None and self.current is not None:
                self._failure = self._failure or failure
            self._settle()

    def give_back(self) -> None:
        """The machine stops in the middle of a job: back into the queue, its attempt given back."""
        with self._lock:
            job = self.current
            if job is None:
                return
            try:
                jobs.release(self._bells.db, job.job_id, **self._own(job))
            except (JobNotFound, LeaseLost) as error:
                log.warning("%s: %s", self.machine, error)
            self._part()

    def _fence(self, job_id: str) -> Fence:
        """The job that this machine holds is settled only in its own attempt; a controller may settle any other's."""
        job = self.current
        if job is None or job.job_id != job_id:
            return {"owner": None, "attempt": None, "output": None}
        return {**self._own(job)}

    def _own(self, job: Job) -> OwnFence:
        output = None if self._output is None else self._output.text().decode("utf-8", "replace")
        return {"owner": self._bells.incarnation, "attempt": job.attempts, "output": output}

    def _has(self, job_id: str, attempt: int) -> bool:
        return self.current is not None and (self.current.job_id, self.current.attempts) == (job_id, attempt)

    def _part(self) -> None:
        """It is settled by the rule, or given back: what goes on of actions that were cut off settles it no more."""
        (self._lose if self._cut_off else self._forget)()

    def _lose(self) -> None:
        lost = self.current
        self._forget()
        self._lost = lost

    def _lost_as(self, job_id: str) -> Job | None:
        """The job as the machine had it, if it is the one that was taken from it."""
        return self._lost if self._lost is not None and self._lost.job_id == job_id else None

    @contextmanager
    def _sure(self) -> Iterator[None]:
        """Around a claim: what the one before it took unknown to us, its answer lost, goes back first.

        Nobody else would take it: its lease is renewed as long as this process lives.
        """
        if self._in_doubt:
            current = None if self.current is None else self.current.job_id
            jobs.release_owner(self._bells.db, self._bells.incarnation, machine=self.machine, but=current)
            self._in_doubt = False
        try:
            yield
        except CommitInDoubt:
            self._in_doubt = True
            raise

    def _settle(self) -> None:
        settled = self._settled()
        self._part()
        self._announce_end(settled)

    def _settled(self) -> Job | None:
        """Complete, fail or retry the current job by the rule; None: there is none, or its lease was lost to another.

        It stays current until that is committed: a job that could not be settled is settled the next time.
        """
        job = self.current
        if job is None:
            return None
        try:
            if self._failure is not None:
                return jobs.fail(self._bells.db, job.job_id, self._failure, **self._own(job))
            if self._cut_off:
                return jobs.retry(self._bells.db, job.job_id, **self._own(job), reason="it was cut off")
            return jobs.complete(self._bells.db, job.job_id, **self._own(job))
        except (JobNotFound, LeaseLost) as error:
            log.warning("%s: %s", self.machine, error)
            return None

    def _hold(self, job: Job | None, lease_s: float, *, announce: bool = True) -> Job | None:
        self._forget()
        self.current = job
        if job is not None:
            self._lost = None if self._lost_as(job.job_id) is not None else self._lost
            self._limit = self._bells.limit(self.machine, job) if job.time_limit_s is not None else None
            self._bells.lease_taken(lease_s)
            if announce:
                self._publish("job_started", job)
        return job

    def _let_go(self, job_id: str) -> None:
        if self.current is not None and self.current.job_id == job_id:
            self._forget()

    def _forget(self) -> None:
        self.current, self._failure, self._cut_off, self._output = None, None, False, None
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _announce_end(self, job: Job | None) -> None:
        """Ended, or waiting for another attempt, if any did."""
        if job is None:
            return
        if job.status in ("completed", "failed"):
            self._announce(f"job_{job.status}", job)
        elif job.status == "pending":
            self._bells.wake("jobs", (job.job_type, job.machine_type), 1)

    def _announce(self, type: str, job: Job) -> None:
        self._publish(type, job)
        self._bells.wake("done", (job.job_id,), 1)

    def _publish(self, type: str, job: Job) -> None:
        payload = {"job_id": job.job_id, "job_type": job.job_type}
        failed = type == "job_failed"
        self._bells.publish(self.machine, type, {**payload, "error_message": job.error_message} if failed else payload)
