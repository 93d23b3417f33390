"""Take jobs and hold them: claims, and the leases that keep a job with its worker."""

from __future__ import annotations

from ..clock import to_text
from ..engine.database import Database
from ..errors import JobNotFound, LeaseLost
from .job import COLUMNS, Job, from_row
from .queries import suiting

PROMOTE = """
UPDATE jobs SET status = 'pending' WHERE id IN (
    SELECT id FROM jobs WHERE status = 'scheduled' AND due_at <= ?{skip_locked})"""

WAITING = "SELECT id FROM jobs WHERE job_id = ? AND (status = 'pending' OR status = 'scheduled' AND due_at <= ?)"

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
    job_id: str | None = None,
    job_type: str | None = None,
    machine_type: str | None = None,
    lease_s: float | None = 60.0,
    max_attempts: int | None = None,
    backoff_s: float | None = None,
) -> Job | None:
    """Take the next job, by priority, due time and insertion: it is processing then, with one attempt more.

    With `job_id`, take that one. Otherwise a job without a machine type goes to any worker, a worker without one takes
    any job of its type, one without a `job_type` any type. `owner` is the runtime that renews the lease, `machine` the
    machine that works on the job. `lease_s` None is the last claim's. `max_attempts` and `backoff_s` are for a job that
    has none of its own. Return None if no such job waits or is due.
    """
    with db.write():
        now = db.now()
        if job_id is None:
            db.execute(PROMOTE.format(skip_locked=db.dialect.skip_locked), (now,))
            suits, wanted = suiting(job_type, machine_type)
            picked = f"SELECT id FROM jobs WHERE status = 'pending'{suits} ORDER BY priority, due_at, id LIMIT 1"
        else:
            picked, wanted = WAITING, [job_id, now]
        if lease_s is None:
            last = db.execute("SELECT coalesce(lease_s, 60.0) FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
            lease_s = last[0] if last else 60.0
        params = (to_text(now), owner, machine, lease_s, now + lease_s, max_attempts, backoff_s, *wanted)
        row = db.execute(CLAIM.format(picked=picked + db.dialect.skip_locked), params).fetchone()
        return from_row(row) if row else None


def adopt(db: Database, job_id: str, *, owner: str, attempt: int | None, new_owner: str) -> Job | None:
    """Give a dead worker's job to its successor, in the same attempt. Return None if the worker does not hold it."""
    with db.write():
        row = db.execute(
            "UPDATE jobs SET owner = ?, lease_until = ? + lease_s WHERE job_id = ? AND status = 'processing' "
            f"AND owner = ? AND attempts = ? RETURNING {COLUMNS}",
            (new_owner, db.now(), job_id, owner, attempt),
        ).fetchone()
        return from_row(row) if row else None


def assign(db: Database, job_id: str, machine: str, *, owner: str, attempt: int | None = None) -> float:
    """Let another machine of the same runtime work on the job. Return the seconds of its lease.

    LeaseLost, JobNotFound.
    """
    with db.write():
        job = held(db, job_id, owner, attempt)
        row = db.execute("UPDATE jobs SET machine = ? WHERE id = ? RETURNING lease_s", (machine, job.id)).fetchone()
        return float(row[0])


def renew(db: Database, owner: str) -> int:
    """Let all leases of the worker run from now on, each for its own length. Return the number of jobs."""
    with db.write():
        return db.execute(
            "UPDATE jobs SET lease_until = ? + lease_s "
            "WHERE status = 'processing' AND owner = ? AND lease_until IS NOT NULL",
            (db.now(), owner),
        ).rowcount


def shorten_leases(db: Database) -> int:
    """Let no lease run for longer than its length from now; for a clock that was set back.

    Live workers renew theirs as usual. The lease of a dead one would otherwise run until the old time. Return the
    number of jobs.
    """
    with db.write():
        return db.execute(
            "UPDATE jobs SET lease_until = ? + lease_s WHERE status = 'processing' AND lease_until > ? + lease_s",
            (db.now(), db.now()),
        ).rowcount


def held(db: Database, job_id: str, owner: str, attempt: int | None) -> Job:
    """Inside write(), lock and return the job that this worker holds in this attempt. LeaseLost, JobNotFound."""
    job = locked(db, job_id)
    if job.status != "processing" or job.owner != owner or attempt not in (None, job.attempts):
        raise LeaseLost(job_id)
    return job


def locked(db: Database, job_id: str) -> Job:
    """Inside write(), lock and return the job: nobody else can change it until the end. JobNotFound."""
    row = db.execute(f"SELECT {COLUMNS} FROM jobs WHERE job_id = ?{db.dialect.for_update}", (job_id,)).fetchone()
    if row is None:
        raise JobNotFound(job_id)
    return from_row(row)
