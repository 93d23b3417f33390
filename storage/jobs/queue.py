"""Add jobs, and end attempts at them: one job, one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..clock import to_text
from ..engine.database import Database
from ..errors import JobExists, JobNotFound, LeaseLost, WrongJobState
from ..notifications import notify
from ..payload import clean, dumps
from . import attempts
from .bulk import CANCELLABLE, RELEASED
from .claims import held, locked
from .job import COLUMNS, INSERT, Job, NewJob, Outcome, from_row, values_of
from .queries import get

SETTLE = """
UPDATE jobs SET status = ?, completed_at = ?, result = coalesce(?, result), error_message = ?, lease_until = NULL
WHERE job_id = ?"""

EXPIRED = "status = 'processing' AND lease_until < ?"


def enqueue(db: Database, job_id: str | None, job_type: str, **options: Any) -> Job:
    """Add a job: pending, or scheduled if it is due later. The options are the fields of NewJob.

    JobExists if the id is taken. While an unfinished job has the same `unique_key`, nothing is added and that job is
    returned.
    """
    with db.write():
        found, is_new = _added(db, NewJob(job_type, job_id, **options))
        if is_new:
            notify(db, "jobs", (job_type, found.machine_type))
        return found


def enqueue_many(db: Database, rows: Iterable[NewJob]) -> int:
    """Add all jobs or none; a job whose `unique_key` an unfinished one has is left out. Return the number added.

    JobExists names the first id that is taken.
    """
    with db.write():
        added = sum(_added(db, row)[1] for row in rows)
        notify(db, "jobs", count=added)
        return added


def complete(
    db: Database,
    job_id: str,
    *,
    owner: str | None = None,
    attempt: int | None = None,
    result: Any = None,
    output: str | None = None,
) -> Job:
    """Complete the job, with its result if there is one; `output` is kept with the attempt.

    With `owner`, the worker must hold it, in that `attempt` if it is given, else LeaseLost. Without, it is an
    operator's command and takes a job of any status. JobNotFound.
    """
    with db.write():
        return _settle(db, Outcome(job_id, result, output=output), owner, attempt)


def fail(
    db: Database,
    job_id: str,
    reason: str,
    *,
    owner: str | None = None,
    attempt: int | None = None,
    output: str | None = None,
) -> Job:
    """Let the job fail for this reason. The other parameters and exceptions are those of `complete`."""
    with db.write():
        return _settle(db, Outcome(job_id, reason=reason, output=output), owner, attempt)


def retry(
    db: Database,
    job_id: str,
    *,
    owner: str | None = None,
    attempt: int | None = None,
    delay_s: float | None = None,
    reason: str | None = None,
    output: str | None = None,
) -> Job:
    """Put the job back into the queue, due after the delay.

    With `owner`, the worker must hold it, else LeaseLost. Without a delay, it waits for `Job.wait_s`; it fails instead
    if all attempts are made. Without `owner`, it is an operator's command: the job must be scheduled, processing,
    failed or cancelled, else WrongJobState; without a delay it is due at once, and no attempts count. JobNotFound.
    """
    with db.write():
        if owner:
            job = held(db, job_id, owner, attempt)
            return _end_attempt(db, job, "retried", reason, delay_s=delay_s, output=output)
        job = _in(db, job_id, ("scheduled", "processing", "failed", "cancelled"))
        if job.status == "processing":
            attempts.end(db, job, "reset")
            notify(db, "done", (job_id,))
        return _requeued(db, job, reason, delay_s or 0.0, attempts_made=0)


def time_out(db: Database, job_id: str, *, owner: str, attempt: int | None = None, output: str | None = None) -> Job:
    """End the worker's attempt because it took too long: the job waits for `Job.wait_s`, or fails after the last one.

    LeaseLost, JobNotFound.
    """
    with db.write():
        job = held(db, job_id, owner, attempt)
        reason = f"took longer than its time limit of {job.time_limit_s or 0:g} s"
        return _end_attempt(db, job, "timed_out", reason, output=output)


def release(db: Database, job_id: str, *, owner: str, attempt: int | None = None, output: str | None = None) -> None:
    """Give the worker's job back: pending, the attempt not counted. LeaseLost, JobNotFound."""
    with db.write():
        job = held(db, job_id, owner, attempt)
        attempts.end(db, job, "released", output=output)
        db.execute(f"UPDATE jobs SET {RELEASED} WHERE id = ?", (job.id,))


def rescue(db: Database) -> list[Job]:
    """Put jobs whose lease has passed back into the queue, or let them fail after the last attempt; in id order.

    A job that an older engine holds without a lease is left alone.
    """
    with db.read():  # usually there is none, and this query takes no lock
        if not db.execute(f"SELECT 1 FROM jobs WHERE {EXPIRED} LIMIT 1", (db.now(),)).fetchone():
            return []
    with db.write():
        sql = f"SELECT {COLUMNS} FROM jobs WHERE {EXPIRED}{db.dialect.skip_locked}"
        lost = sorted(map(from_row, db.execute(sql, (db.now(),)).fetchall()), key=lambda job: job.id)
        return [_end_attempt(db, job, "lost", _lost(job)) for job in lost]


def cancel(db: Database, job_id: str) -> Job:
    """Cancel a pending, scheduled or processing job; an operator's command. A worker that holds it loses its lease.

    JobNotFound, WrongJobState.
    """
    with db.write():
        job = _in(db, job_id, CANCELLABLE)
        if job.status == "processing":
            attempts.end(db, job, "cancelled")
        row = db.execute(
            "UPDATE jobs SET status = 'cancelled', completed_at = ?, lease_until = NULL, owner = NULL "
            f"WHERE id = ? RETURNING {COLUMNS}",
            (to_text(db.now()), job.id),
        ).fetchone()
        notify(db, "done", (job_id,))
        return from_row(row)


# Helpers


def _added(db: Database, new: NewJob) -> tuple[Job, bool]:
    """Return the job, and True if it is new; else it is the unfinished one with the same unique key. JobExists."""
    while (job := _insert(db, new)) is None:  # on PostgreSQL the job in the way may end before we see it
        if new.job_id and get(db, new.job_id):
            raise JobExists(new.job_id)
        if twin := _twin(db, new):
            return twin, False
    return job, True


def _insert(db: Database, new: NewJob) -> Job | None:
    row = db.execute(f"{INSERT} RETURNING {COLUMNS}", values_of(new, db.now())).fetchone()
    return from_row(row) if row else None


def _twin(db: Database, new: NewJob) -> Job | None:
    """Return the unfinished job with the same unique key."""
    row = db.execute(
        f"SELECT {COLUMNS} FROM jobs WHERE unique_key = ? AND status IN ('pending', 'scheduled', 'processing')",
        (new.unique_key,),
    ).fetchone()
    return from_row(row) if row else None


def _settle(db: Database, outcome: Outcome, owner: str | None, attempt: int | None = None) -> Job:
    is_held = owner is not None or locked(db, outcome.job_id).status == "processing"
    fence = " AND status = 'processing' AND owner = ? AND attempts = coalesce(?, attempts)" if owner else ""
    job = _ended(db, outcome, fence, (owner, attempt) if owner else ())
    if is_held:
        attempts.end(db, job, job.status, reason=job.error_message, output=outcome.output)
    return job


def _ended(db: Database, outcome: Outcome, fence: str = "", fenced: Sequence[Any] = ()) -> Job:
    status = "completed" if outcome.reason is None else "failed"
    reason = None if outcome.reason is None else clean(outcome.reason)
    result = None if outcome.result is None else dumps(outcome.result)
    params = (status, to_text(db.now()), result, reason, outcome.job_id, *fenced)
    row = db.execute(f"{SETTLE}{fence} RETURNING {COLUMNS}", params).fetchone()
    if row is None:
        raise LeaseLost(outcome.job_id) if get(db, outcome.job_id) else JobNotFound(outcome.job_id)
    notify(db, "done", (outcome.job_id,))
    return from_row(row)


def _end_attempt(
    db: Database, job: Job, outcome: str, reason: str | None, *, delay_s: float | None = None, output: str | None = None
) -> Job:
    """End an attempt that did not complete the job: put it back, by default after its back-off, or let it fail."""
    reason = clean(reason) if reason else None
    is_last = job.attempts >= job.max_attempts
    if is_last and outcome == "retried":
        outcome, reason = "failed", reason or f"{job.attempts} of {job.max_attempts} attempts spent"
    attempts.end(db, job, outcome, reason=reason, output=output)
    if is_last:
        return _ended(db, Outcome(job.job_id, reason=reason))
    return _requeued(db, job, reason, job.wait_s if delay_s is None else delay_s, attempts_made=job.attempts)


def _lost(job: Job) -> str:
    spent = f"{job.attempts} of {job.max_attempts} attempts"
    return f"lease expired: worker {job.owner or 'unknown'} did not finish; {spent}"


def _requeued(db: Database, job: Job, reason: str | None, delay_s: float, *, attempts_made: int) -> Job:
    status, due_at = ("scheduled" if delay_s > 0 else "pending"), db.now() + max(delay_s, 0.0)
    error_message = clean(reason) if reason else job.error_message
    row = db.execute(
        "UPDATE jobs SET status = ?, due_at = ?, attempts = ?, error_message = ?, owner = NULL, lease_until = NULL, "
        f"started_at = NULL, completed_at = NULL WHERE id = ? RETURNING {COLUMNS}",
        (status, due_at, attempts_made, error_message, job.id),
    ).fetchone()
    if delay_s <= 0:
        notify(db, "jobs", (job.job_type, job.machine_type))
    return from_row(row)


def _in(db: Database, job_id: str, allowed: Sequence[str]) -> Job:
    job = locked(db, job_id)
    if job.status not in allowed:
        raise WrongJobState(job_id, job.status, allowed)
    return job
