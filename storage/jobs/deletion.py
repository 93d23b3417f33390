"""Delete jobs together with their attempts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..clock import to_text
from ..engine.database import Database
from ..engine.sql import one_of
from ..errors import JobNotFound
from ..notifications import notify
from . import attempts

PRUNE_CHUNK = 1000


def remove(db: Database, job_id: str) -> None:
    """Delete the job, whatever its status; a worker that holds it loses it. JobNotFound."""
    with db.write():
        if not _delete(db, "job_id = ?", (job_id,)):
            raise JobNotFound(job_id)
        notify(db, "done", (job_id,))


def cleanup(db: Database, status: str, limit: int = PRUNE_CHUNK) -> int:
    """Delete the oldest jobs of this status, `limit` at most. Return the number of jobs."""
    with db.write():
        return _delete(db, "id IN (SELECT id FROM jobs WHERE status = ? ORDER BY id LIMIT ?)", (status, limit))


def prune(db: Database, *, older_than_s: float, statuses: Sequence[str]) -> int:
    """Delete jobs of these final statuses that ended before then. Return the number of jobs.

    They are deleted in chunks, so that workers get in between.
    """
    total = 0
    old = f"{one_of('status', statuses)} AND coalesce(completed_at, created_at) < ?"
    params = (*statuses, to_text(db.now() - older_than_s), PRUNE_CHUNK)
    while statuses:
        with db.write():
            deleted = _delete(db, f"id IN (SELECT id FROM jobs WHERE {old} LIMIT ?)", params)
        total += deleted
        if deleted < PRUNE_CHUNK:
            break
    return total


# Helpers


def _delete(db: Database, condition: str, params: Sequence[Any]) -> int:
    deleted = [row[0] for row in db.execute(f"DELETE FROM jobs WHERE {condition} RETURNING id", params).fetchall()]
    attempts.forget(db, deleted)
    return len(deleted)
