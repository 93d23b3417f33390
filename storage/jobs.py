"""The job queue: every verb one transaction, its docstring the contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from . import bells
from .clock import to_text
from .database import Database
from .errors import JobExists, JobNotFound, LeaseLost, WrongJobState
from .job import COLUMNS, DEFAULT_MAX_ATTEMPTS, INSERT, STATUSES, Job, NewJob, Outcome, from_row, values_of
from .job_lists import claimable, counts, find, get, pending, statuses
from .payload import clean, dumps

__all__ = [
    "STATUSES",
    "Job",
    "NewJob",
    "adopt",
    "cancel",
    "claim",
    "claim_id",
    "claimable",
    "cleanup",
    "complete",
    "counts",
    "enqueue",
    "enqueue_many",
    "fail",
    "find",
    "get",
    "pending",
    "prune",
    "release",
    "release_owner",
    "remove",
    "renew",
    "rescue",
    "reset_processing",
    "retry",
    "statuses",
]

PRUNE_CHUNK = 1000

PROMOTE = """
UPDATE jobs SET status = 'pending' WHERE id IN (
    SELECT id FROM jobs WHERE status = 'scheduled' AND due_at <= ?{skip_locked})"""

CLAIM = f"""
UPDATE jobs SET status = 'processing', started_at = ?, completed_at = NULL, owner = ?, lease_s = ?, lease_until = ?,
                attempts = attempts + 1, max_attempts = coalesce(max_attempts, ?)
WHERE id = ({{picked}}) RETURNING {COLUMNS}"""

SETTLE = """
UPDATE jobs SET status = ?, completed_at = ?, result = coalesce(?, result), error_message = ?, lease_until = NULL
WHERE job_id = ?"""

EXPIRED = "status = 'processing' AND lease_until < ?"
LIMIT = f"coalesce(max_attempts, {DEFAULT_MAX_ATTEMPTS})"
RESCUE = f"""
UPDATE jobs SET status = CASE WHEN attempts >= {LIMIT} THEN 'failed' ELSE 'pending' END,
                completed_at = CASE WHEN attempts >= {LIMIT} THEN ? END,
                error_message = 'lease expired: worker ' || coalesce(owner, 'unknown') || ' did not finish; '
                                || attempts || ' of ' || {LIMIT} || ' attempts',
                owner = NULL, lease_until = NULL
WHERE id IN (SELECT id FROM jobs WHERE {EXPIRED}{{skip_locked}}) RETURNING {COLUMNS}"""

GIVE_BACK = "UPDATE jobs SET status = 'pending', attempts = attempts - 1, owner = NULL, lease_until = NULL "


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
) -> Job:
    """Add a job: pending, or scheduled if it is due later. JobExists if the id is taken; None makes one up.

    `machine_type` None: any worker may take it. `max_attempts` None: the claim's, else 3. While an unfinished job
    carries the same `unique_key`, that job is returned and nothing is added.
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
    )
    with db.write():
        added = _insert(db, job)
        if added is None:
            return _twin(db, job)
        bells.ring(db, "jobs", (job_type, machine_type))
        return added


def enqueue_many(db: Database, rows: Iterable[NewJob]) -> int:
    """Add all or none; JobExists names the first id that is taken. Returns how many were added.

    A row whose `unique_key` an unfinished job carries already is left out.
    """
    with db.write():
        added = 0
        for row in rows:
            if _insert(db, row):
                added += 1
            else:
                _twin(db, row)
        bells.ring(db, "jobs", count=added)
        return added


def claim(
    db: Database,
    *,
    owner: str,
    job_type: str | None = None,
    machine_type: str | None = None,
    lease_s: float = 60.0,
    max_attempts: int | None = None,
) -> Job | None:
    """Take the next job: pending or due, by priority, due time, insertion; it is processing then, one attempt more.

    A job without a machine type goes to any worker, a worker without one takes any job of its type, one without a
    `job_type` any type. None: nothing to do.
    """
    with db.write():
        now = db.now()
        db.execute(PROMOTE.format(skip_locked=db.dialect.skip_locked), (now,))
        sql, wanted = _claim_sql(db.dialect.skip_locked, job_type, machine_type)
        row = db.execute(sql, (to_text(now), owner, lease_s, now + lease_s, max_attempts, *wanted)).fetchone()
        return from_row(row) if row else None


def claim_id(
    db: Database, job_id: str, *, owner: str, lease_s: float = 60.0, max_attempts: int | None = None
) -> Job | None:
    """Take this job if it is pending or due; None if it is not, or there is none."""
    picked = "SELECT id FROM jobs WHERE job_id = ? AND (status = 'pending' OR status = 'scheduled' AND due_at <= ?)"
    with db.write():
        now = db.now()
        params = (to_text(now), owner, lease_s, now + lease_s, max_attempts, job_id, now)
        row = db.execute(CLAIM.format(picked=picked + db.dialect.skip_locked), params).fetchone()
        return from_row(row) if row else None


def adopt(db: Database, job_id: str, *, owner: str, attempt: int | None, heir: str) -> Job | None:
    """A dead worker's job goes to its successor, in the same attempt; None when the worker no longer holds it."""
    with db.write():
        row = db.execute(
            "UPDATE jobs SET owner = ?, lease_until = ? + lease_s WHERE job_id = ? AND status = 'processing' "
            f"AND owner = ? AND attempts = ? RETURNING {COLUMNS}",
            (heir, db.now(), job_id, owner, attempt),
        ).fetchone()
        return from_row(row) if row else None


def complete(
    db: Database, job_id: str, *, owner: str | None = None, attempt: int | None = None, result: Any = None
) -> Job:
    """The job is completed, with its result if there is one.

    With `owner`: only while that worker holds it, in that `attempt` where it is given, else LeaseLost. Without, an
    operator's word: from any status. JobNotFound.
    """
    with db.write():
        return _settle(db, Outcome(job_id, result), owner, attempt)


def fail(db: Database, job_id: str, reason: str, *, owner: str | None = None, attempt: int | None = None) -> Job:
    """The job failed for this reason; fenced and raising like `complete`."""
    with db.write():
        return _settle(db, Outcome(job_id, reason=reason), owner, attempt)


def retry(
    db: Database,
    job_id: str,
    *,
    owner: str | None = None,
    attempt: int | None = None,
    delay_s: float = 0.0,
    reason: str | None = None,
) -> Job:
    """Back into the queue, due after the delay.

    A worker's (`owner`): of the job it holds, else LeaseLost; failed instead when the attempts are spent.
    An operator's: from processing, failed or cancelled, else WrongJobState; attempts start anew. JobNotFound.
    """
    with db.write():
        job = _held(db, job_id, owner, attempt) if owner else _in(db, job_id, ("processing", "failed", "cancelled"))
        if owner and job.attempts >= job.max_attempts:
            return _settle(
                db, Outcome(job_id, reason=reason or f"{job.attempts} of {job.max_attempts} attempts spent"), None
            )
        due_at = db.now() + max(delay_s, 0.0)
        row = db.execute(
            "UPDATE jobs SET status = ?, due_at = ?, attempts = ?, error_message = ?, owner = NULL, "
            f"lease_until = NULL, started_at = NULL, completed_at = NULL WHERE id = ? RETURNING {COLUMNS}",
            (
                "scheduled" if delay_s > 0 else "pending",
                due_at,
                job.attempts if owner else 0,
                clean(reason) if reason else job.error_message,
                job.id,
            ),
        ).fetchone()
        bells.ring(db, "jobs", (job.job_type, job.machine_type))
        return from_row(row)


def release(db: Database, job_id: str, *, owner: str, attempt: int | None = None) -> None:
    """The worker gives its job back untouched: pending, the attempt not counted. LeaseLost, JobNotFound."""
    with db.write():
        db.execute(f"{GIVE_BACK} WHERE id = ?", (_held(db, job_id, owner, attempt).id,))


def release_owner(db: Database, owner: str) -> int:
    """Give back all jobs that the worker holds, as `release` does; returns how many."""
    with db.write():
        return db.execute(f"{GIVE_BACK} WHERE status = 'processing' AND owner = ?", (owner,)).rowcount


def renew(db: Database, owner: str) -> int:
    """All leases of the worker count anew from now, each for its own length; returns how many."""
    with db.write():
        return db.execute(
            "UPDATE jobs SET lease_until = ? + lease_s "
            "WHERE status = 'processing' AND owner = ? AND lease_until IS NOT NULL",
            (db.now(), owner),
        ).rowcount


def rescue(db: Database) -> list[Job]:
    """Jobs whose lease has passed: pending again, or failed when their attempts are spent; returned in id order.

    A job held without a lease, by an older engine, is left alone.
    """
    with db.read():  # mostly there is none, and a look costs no lock
        if not db.execute(f"SELECT 1 FROM jobs WHERE {EXPIRED} LIMIT 1", (db.now(),)).fetchone():
            return []
    with db.write():
        now = db.now()
        rows = db.execute(RESCUE.format(skip_locked=db.dialect.skip_locked), (to_text(now), now)).fetchall()
        return sorted(map(from_row, rows), key=lambda job: job.id)


def cancel(db: Database, job_id: str) -> Job:
    """An operator's word: pending, scheduled or processing becomes cancelled; a worker that holds it loses its lease.

    JobNotFound, WrongJobState.
    """
    with db.write():
        job = _in(db, job_id, ("pending", "scheduled", "processing"))
        row = db.execute(
            "UPDATE jobs SET status = 'cancelled', completed_at = ?, lease_until = NULL, owner = NULL "
            f"WHERE id = ? RETURNING {COLUMNS}",
            (to_text(db.now()), job.id),
        ).fetchone()
        return from_row(row)


def remove(db: Database, job_id: str) -> None:
    """Delete the job, whatever its status. JobNotFound."""
    with db.write():
        if not db.execute("DELETE FROM jobs WHERE job_id = ?", (job_id,)).rowcount:
            raise JobNotFound(job_id)


def reset_processing(db: Database, *, older_than_s: float | None) -> int:
    """An operator's word: jobs held longer than this and without a running lease become pending, attempts anew.

    None: every processing job, lease or not. Returns how many.
    """
    with db.write():
        now = db.now()
        started = to_text(now - older_than_s) if older_than_s is not None else None
        condition = "(started_at IS NULL OR started_at <= ?) AND (lease_until IS NULL OR lease_until < ?)"
        return db.execute(
            "UPDATE jobs SET status = 'pending', attempts = 0, owner = NULL, lease_until = NULL, started_at = NULL "
            "WHERE status = 'processing'" + (f" AND {condition}" if started else ""),
            (started, now) if started else (),
        ).rowcount


def cleanup(db: Database, status: str, limit: int = 1000) -> int:
    """Delete up to `limit` jobs of this status, oldest first; returns how many."""
    with db.write():
        return db.execute(
            "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE status = ? ORDER BY id LIMIT ?)", (status, limit)
        ).rowcount


def prune(db: Database, *, older_than_s: float, statuses: Sequence[str]) -> int:
    """Delete jobs of these final statuses that ended before then, some at a time so that workers get in between."""
    total = 0
    ended_before = to_text(db.now() - older_than_s)
    marks = ", ".join("?" * len(statuses))
    while statuses:
        with db.write():
            deleted = db.execute(
                f"DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE status IN ({marks}) "
                "AND coalesce(completed_at, created_at) < ? LIMIT ?)",
                (*statuses, ended_before, PRUNE_CHUNK),
            ).rowcount
        total += deleted
        if deleted < PRUNE_CHUNK:
            break
    return total


# Helpers


def _insert(db: Database, new: NewJob) -> Job | None:
    row = db.execute(f"{INSERT} RETURNING {COLUMNS}", values_of(new, db.now())).fetchone()
    return from_row(row) if row else None


def _twin(db: Database, new: NewJob) -> Job:
    """The unfinished job with the same unique key. JobExists when it was the id that is taken."""
    if new.job_id and get(db, new.job_id):
        raise JobExists(new.job_id)
    row = db.execute(
        f"SELECT {COLUMNS} FROM jobs WHERE unique_key = ? AND status IN ('pending', 'scheduled', 'processing')",
        (new.unique_key,),
    ).fetchone()
    return from_row(row)


def _claim_sql(skip_locked: str, job_type: str | None, machine_type: str | None) -> tuple[str, tuple[str, ...]]:
    wanted = tuple(value for value in (job_type, machine_type) if value is not None)
    picked = (
        "SELECT id FROM jobs WHERE status = 'pending'"
        + (" AND job_type = ?" if job_type is not None else "")
        + (" AND (machine_type IS NULL OR machine_type = ?)" if machine_type is not None else "")
        + " ORDER BY priority, due_at, id LIMIT 1"
        + skip_locked
    )
    return CLAIM.format(picked=picked), wanted


def _settle(db: Database, outcome: Outcome, owner: str | None, attempt: int | None = None) -> Job:
    status = "completed" if outcome.reason is None else "failed"
    reason = None if outcome.reason is None else clean(outcome.reason)
    result = None if outcome.result is None else dumps(outcome.result)
    fence = " AND status = 'processing' AND owner = ? AND attempts = coalesce(?, attempts)" if owner else ""
    params = (status, to_text(db.now()), result, reason, outcome.job_id, *((owner, attempt) if owner else ()))
    row = db.execute(f"{SETTLE}{fence} RETURNING {COLUMNS}", params).fetchone()
    if row is None:
        raise LeaseLost(outcome.job_id) if get(db, outcome.job_id) else JobNotFound(outcome.job_id)
    bells.ring(db, "done", (outcome.job_id,))
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
    for_update = " FOR UPDATE" if db.is_postgres else ""
    row = db.execute(f"SELECT {COLUMNS} FROM jobs WHERE job_id = ?{for_update}", (job_id,)).fetchone()
    if row is None:
        raise JobNotFound(job_id)
    return from_row(row)
