"""Taking jobs, and keeping them: claims and their leases."""

from __future__ import annotations

from ..clock import to_text
from ..engine.database import Database
from .job import COLUMNS, Job, from_row

PROMOTE = """
UPDATE jobs SET status = 'pending' WHERE id IN (
    SELECT id FROM jobs WHERE status = 'scheduled' AND due_at <= ?{skip_locked})"""

CLAIM = f"""
UPDATE jobs SET status = 'processing', started_at = ?, completed_at = NULL, owner = ?, machine = ?, lease_s = ?,
                lease_until = ?, attempts = attempts + 1, max_attempts = coalesce(max_attempts, ?),
                backoff_s = coalesce(backoff_s, ?)
WHERE id = ({{picked}}) RETURNING {COLUMNS}"""


def claim(
    db: Database,
    *,
    owner: str,
    machine: str | None = None,
    job_type: str | None = None,
    machine_type: str | None = None,
    lease_s: float = 60.0,
    max_attempts: int | None = None,
    backoff_s: float | None = None,
) -> Job | None:
    """Take the next job: pending or due, by priority, due time, insertion; it is processing then, one attempt more.

    A job without a machine type goes to any worker, a worker without one takes any job of its type, one without a
    `job_type` any type. `owner` is the runtime that renews the lease, `machine` who works on it. `max_attempts` and
    `backoff_s` are for a job that does not say so itself. None: nothing to do.
    """
    with db.write():
        now = db.now()
        db.execute(PROMOTE.format(skip_locked=db.dialect.skip_locked), (now,))
        sql, wanted = _claim_sql(db.dialect.skip_locked, job_type, machine_type)
        params = (to_text(now), owner, machine, lease_s, now + lease_s, max_attempts, backoff_s)
        row = db.execute(sql, (*params, *wanted)).fetchone()
        return from_row(row) if row else None


def claim_id(
    db: Database,
    job_id: str,
    *,
    owner: str,
    machine: str | None = None,
    lease_s: float | None = 60.0,
    max_attempts: int | None = None,
    backoff_s: float | None = None,
) -> Job | None:
    """Take this job if it is pending or due; None if it is not, or there is none. `lease_s` None: as the last time."""
    picked = "SELECT id FROM jobs WHERE job_id = ? AND (status = 'pending' OR status = 'scheduled' AND due_at <= ?)"
    with db.write():
        now = db.now()
        if lease_s is None:
            last = db.execute("SELECT coalesce(lease_s, 60.0) FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
            lease_s = last[0] if last else 60.0
        params = (to_text(now), owner, machine, lease_s, now + lease_s, max_attempts, backoff_s, job_id, now)
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


def renew(db: Database, owner: str) -> int:
    """All leases of the worker count anew from now, each for its own length; returns how many."""
    with db.write():
        return db.execute(
            "UPDATE jobs SET lease_until = ? + lease_s "
            "WHERE status = 'processing' AND owner = ? AND lease_until IS NOT NULL",
            (db.now(), owner),
        ).rowcount


# Helpers


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
