"""Looking at the queue: nothing here changes a job."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .database import Database
from .job import COLUMNS, STATUSES, Job, from_row

CHUNK = 500


def get(db: Database, job_id: str) -> Job | None:
    """The job of this id."""
    with db.read():
        row = db.execute(f"SELECT {COLUMNS} FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
    return from_row(row) if row else None


def find(
    db: Database,
    *,
    status: str | None = None,
    job_type: str | None = None,
    machine_type: str | None = None,
    limit: int | None = 20,
    newest_first: bool = True,
) -> list[Job]:
    """Jobs that match all that is given, in order of insertion; `limit` None: all of them."""
    from .models import JobRow, fetch  # peewee takes longer to load than most commands take to run

    query = JobRow.select(*(getattr(JobRow, name) for name in COLUMNS.split(", ")))
    given = {"status": status, "job_type": job_type, "machine_type": machine_type}
    for name, value in given.items():
        if value is not None:
            query = query.where(getattr(JobRow, name) == value)
    query = query.order_by(JobRow.id.desc() if newest_first else JobRow.id)
    return [from_row(row) for row in fetch(db, query.limit(limit))]


def pending(
    db: Database, job_type: str | None = None, machine_type: str | None = None, limit: int | None = None
) -> list[Job]:
    """Jobs that such a worker could claim now, in the order in which it would."""
    condition, params = _claimable(job_type, machine_type, db.now())
    with db.read():
        sql = f"SELECT {COLUMNS} FROM jobs WHERE {condition} ORDER BY priority, due_at, id"
        rows = db.execute(sql + (" LIMIT ?" if limit else ""), [*params, limit] if limit else params).fetchall()
    return [from_row(row) for row in rows]


def counts(db: Database) -> dict[str, int]:
    """How many jobs of each status, zeros included."""
    rare = [status for status in STATUSES if status != "completed"]  # each of these has an index of its own
    parts = ["SELECT count(*) FROM jobs", *(f"SELECT count(*) FROM jobs WHERE status = '{status}'" for status in rare)]
    with db.read():
        total, *found = db.execute(f"SELECT {', '.join(f'({part})' for part in parts)}").fetchone()
    known = dict(zip(rare, found, strict=True))
    return {status: known.get(status, total - sum(found)) for status in STATUSES}


def statuses(db: Database, job_ids: Iterable[str]) -> dict[str, str]:
    """Status by job id; ids without a job are missing."""
    ids = list(job_ids)
    found: dict[str, str] = {}
    with db.read():
        for start in range(0, len(ids), CHUNK):
            chunk = ids[start : start + CHUNK]
            marks = ", ".join("?" * len(chunk))
            found.update(db.execute(f"SELECT job_id, status FROM jobs WHERE job_id IN ({marks})", chunk).fetchall())
    return found


def claimable(db: Database, keys: Iterable[tuple[str | None, str | None]]) -> set[tuple[str | None, str | None]]:
    """Those (job_type, machine_type) for which a worker would find a job now."""
    now = db.now()
    with db.read():
        return {key for key in keys if _any(db, *_claimable(*key, now))}


def _any(db: Database, condition: str, params: Sequence[Any]) -> bool:
    return db.execute(f"SELECT 1 FROM jobs WHERE {condition} LIMIT 1", params).fetchone() is not None


def _claimable(job_type: str | None, machine_type: str | None, now: float) -> tuple[str, list[Any]]:
    parts = ["(status = 'pending' OR status = 'scheduled' AND due_at <= ?)"]
    params: list[Any] = [now]
    if job_type is not None:
        parts.append("job_type = ?")
        params.append(job_type)
    if machine_type is not None:
        parts.append("(machine_type IS NULL OR machine_type = ?)")
        params.append(machine_type)
    return " AND ".join(parts), params
