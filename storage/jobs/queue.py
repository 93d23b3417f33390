"""The job queue: every verb one transaction, its docstring the contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .. import bells
from ..clock import to_text
from ..engine.database import Database
from ..errors import JobExists, JobNotFound, LeaseLost, WrongJobState
from ..payload import clean, dumps
from . import attempts
from .job import COLUMNS, INSERT, Job, NewJob, Outcome, from_row, values_of
from .moves import GIVEN_BACK
from .queries import get

SETTLE = """
UPDATE jobs SET status = ?, completed_at = ?, result = coalesce(?, result), error_message = ?, lease_until = NULL
WHERE job_id = ?"""

EXPIRED = "status = 'processing' AND lease_until < ?"


def enqueue(
    db: Database,
    job_id: str | None,
    job_type: str,
    *,
    machine_type: str | None = None,
    data: Any = None,
    source_job_id: str | None = None,
    priority: int = 5,
    delay_s: float = 0.0,
    due_at: float | None = None,
    max_attempts: int | None = None,
    unique_key: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    time_limit_s: float | None = None,
    backoff_s: float | None = None,
) -> Job:
    """Add a job: pending, or scheduled if it is due later. JobExists if the id is taken; None makes one up.

    `machine_type` None: any worker may take it. `max_attempts` None: the claim's, else 3. While an unfinished job
    carries the same `unique_key`, that job is returned and nothing is added. `time_limit_s`: how long one attempt may
    take, 0 or None for any time. `backoff_s`: see `Job.wait_s`; None: the claim's, else 10.
    """
    job = NewJob(
        job_type,
        job_id,
        machine_type,
        data,
        source_job_id,
        priority,
        delay_s,
        due_at,
        max_attempts,
        unique_key,
        metadata,
        time_limit_s,
        backoff_s,
    )
    with db.write():
        found, is_new = _added(db, job)
        if is_new:
            bells.ring(db, "jobs", (job_type, machine_type))
        return found


def enqueue_many(db: Database, rows: Iterable[NewJob]) -> int:
    """Add all or none; JobExists names the first id that is taken. Returns how many were added.

    A row whose `unique_key` an unfinished job carries already is left out.
    """
    with db.write():
        added = sum(_added(db, row)[1] for row in rows)
        bells.ring(db, "jobs", count=added)
        return added


def assign(db: Database, job_id: str, machine: str, *, owner: str, attempt: int | None = None) -> float:
    """Another machine of the same runtime works on the job from now on; for how long it is held between renewals.

    LeaseLost, JobNotFound.
    """
    with db.write():
        job = _held(db, job_id, owner, attempt)
        row = db.execute("UPDATE jobs SET machine = ? WHERE id = ? RETURNING lease_s", (machine, job.id)).fetchone()
        return float(row[0])


def complete(
    db: Database,
    job_id: str,
    *,
    owner: str | None = None,
    attempt: int | None = None,
    result: Any = None,
    output: str | None = None,
) -> Job:
    """The job is completed, with its result if there is one; `output` is kept with the attempt.

    With `owner`: only while that worker holds it, in that `attempt` where it is given, else LeaseLost. Without, an
    operator's word: from any status. JobNotFound.
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
    """The job failed for this reason; fenced and raising like `complete`."""
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
    """Back into the queue, due after the delay.

    A worker's (`owner`): of the job it holds, else LeaseLost; without a delay after its `wait_s`; failed instead when
    the attempts are spent. An operator's: from scheduled, processing, failed or cancelled, else WrongJobState; without
    a delay at once; attempts start anew. JobNotFound.
    """
    with db.write():
        if owner:
            return _try_again(db, _held(db, job_id, owner, attempt), "retried", reason, delay_s=delay_s, output=output)
        job = _in(db, job_id, ("scheduled", "processing", "failed", "cancelled"))
        if job.status == "processing":
            attempts.end(db, job, "reset")
            bells.ring(db, "done", (job_id,))
        return _requeued(db, job, reason, delay_s or 0.0, attempts_made=0)


def time_out(db: Database, job_id: str, *, owner: str, attempt: int | None = None, output: str | None = None) -> Job:
    """The worker's job has taken longer than it may: due again after its `wait_s`, or failed if its attempts are spent.

    LeaseLost, JobNotFound.
    """
    with db.write():
        job = _held(db, job_id, owner, attempt)
        reason = f"took longer than its time limit of {job.time_limit_s or 0:g} s"
        return _try_again(db, job, "timed_out", reason, output=output)


def release(db: Database, job_id: str, *, owner: str, attempt: int | None = None, output: str | None = None) -> None:
    """The worker gives its job back untouched: pending, the attempt not counted. LeaseLost, JobNotFound."""
    with db.write():
        job = _held(db, job_id, owner, attempt)
        attempts.end(db, job, "released", output=output)
        db.execute(f"UPDATE jobs SET {GIVEN_BACK} WHERE id = ?", (job.id,))


def shorten_leases(db: Database) -> int:
    """After the clock was set back: no lease runs for longer than its length from now; returns how many did.

    Workers that live renew theirs as ever; those of the dead would else have to be waited for until the old time.
    """
    with db.write():
        return db.execute(
            "UPDATE jobs SET lease_until = ? + lease_s WHERE status = 'processing' AND lease_until > ? + lease_s",
            (db.now(), db.now()),
        ).rowcount


def rescue(db: Database) -> list[Job]:
    """Jobs whose lease has passed: due again after their `wait_s`, or failed if their attempts are spent; in id order.

    A job held without a lease, by an older engine, is left alone.
    """
    with db.read():  # mostly there is none, and a look costs no lock
        if not db.execute(f"SELECT 1 FROM jobs WHERE {EXPIRED} LIMIT 1", (db.now(),)).fetchone():
            return []
    with db.write():
        sql = f"SELECT {COLUMNS} FROM jobs WHERE {EXPIRED}{db.dialect.skip_locked}"
        lost = sorted(map(from_row, db.execute(sql, (db.now(),)).fetchall()), key=lambda job: job.id)
        return [_try_again(db, job, "lost", _lost(job)) for job in lost]


def cancel(db: Database, job_id: str) -> Job:
    """An operator's word: pending, scheduled or processing becomes cancelled; a worker that holds it loses its lease.

    JobNotFound, WrongJobState.
    """
    with db.write():
        job = _in(db, job_id, ("pending", "scheduled", "processing"))
        if job.status == "processing":
            attempts.end(db, job, "cancelled")
        row = db.execute(
            "UPDATE jobs SET status = 'cancelled', completed_at = ?, lease_until = NULL, owner = NULL "
            f"WHERE id = ? RETURNING {COLUMNS}",
            (to_text(db.now()), job.id),
        ).fetchone()
        bells.ring(db, "done", (job_id,))
        return from_row(row)


# Helpers


def _added(db: Database, new: NewJob) -> tuple[Job, bool]:
    """The job, and whether it is new: else it is the unfinished one of the same unique key. JobExists."""
    while (job := _insert(db, new)) is None:  # on PostgreSQL what was in the way may be done with before we see it
        if new.job_id and get(db, new.job_id):
            raise JobExists(new.job_id)
        if twin := _twin(db, new):
            return twin, False
    return job, True


def _insert(db: Database, new: NewJob) -> Job | None:
    row = db.execute(f"{INSERT} RETURNING {COLUMNS}", values_of(new, db.now())).fetchone()
    return from_row(row) if row else None


def _twin(db: Database, new: NewJob) -> Job | None:
    """The unfinished job with the same unique key."""
    row = db.execute(
        f"SELECT {COLUMNS} FROM jobs WHERE unique_key = ? AND status IN ('pending', 'scheduled', 'processing')",
        (new.unique_key,),
    ).fetchone()
    return from_row(row) if row else None


def _settle(db: Database, outcome: Outcome, owner: str | None, attempt: int | None = None) -> Job:
    held = owner is not None or _locked(db, outcome.job_id).status == "processing"
    fence = " AND status = 'processing' AND owner = ? AND attempts = coalesce(?, attempts)" if owner else ""
    job = _ended(db, outcome, fence, (owner, attempt) if owner else ())
    if held:
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
    bells.ring(db, "done", (outcome.job_id,))
    return from_row(row)


def _try_again(
    db: Database, job: Job, outcome: str, reason: str | None, *, delay_s: float | None = None, output: str | None = None
) -> Job:
    """An attempt at the job came to nothing: another one, by its back-off unless said, or none if it was the last."""
    reason = clean(reason) if reason else None
    spent = job.attempts >= job.max_attempts
    if spent and outcome == "retried":
        outcome, reason = "failed", reason or f"{job.attempts} of {job.max_attempts} attempts spent"
    attempts.end(db, job, outcome, reason=reason, output=output)
    if spent:
        return _ended(db, Outcome(job.job_id, reason=reason))
    return _requeued(db, job, reason, job.wait_s if delay_s is None else delay_s, attempts_made=job.attempts)


def _lost(job: Job) -> str:
    spent = f"{job.attempts} of {job.max_attempts} attempts"
    return f"lease expired: worker {job.owner or 'unknown'} did not finish; {spent}"


def _requeued(db: Database, job: Job, reason: str | None, delay_s: float, *, attempts_made: int) -> Job:
    due_at = db.now() + max(delay_s, 0.0)
    row = db.execute(
        "UPDATE jobs SET status = ?, due_at = ?, attempts = ?, error_message = ?, owner = NULL, lease_until = NULL, "
        f"started_at = NULL, completed_at = NULL WHERE id = ? RETURNING {COLUMNS}",
        (
            "scheduled" if delay_s > 0 else "pending",
            due_at,
            attempts_made,
            clean(reason) if reason else job.error_message,
            job.id,
        ),
    ).fetchone()
    if delay_s <= 0:
        bells.ring(db, "jobs", (job.job_type, job.machine_type))
    return from_row(row)


def _held(db: Database, job_id: str, owner: str, attempt: int | None) -> Job:
    job = _locked(db, job_id)
    if job.status != "processing" or job.owner != owner or attempt not in (None, job.attempts):
        raise LeaseLost(job_id)
    return job


def _in(db: Database, job_id: str, allowed: Sequence[str]) -> Job:
    job = _locked(db, job_id)
    if job.status not in allowed:
        raise WrongJobState(job_id, job.status, allowed)
    return job


def _locked(db: Database, job_id: str) -> Job:
    """The job, which nobody else can change until this transaction ends. JobNotFound."""
    row = db.execute(f"SELECT {COLUMNS} FROM jobs WHERE job_id = ?{db.dialect.for_update}", (job_id,)).fetchone()
    if row is None:
        raise JobNotFound(job_id)
    return from_row(row)
