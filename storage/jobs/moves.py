"""Many jobs from one status to another at once, with the ends of the attempts at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import bells
from ..clock import to_text
from ..engine.database import Database
from . import attempts
from .queries import CHUNK

#: what becomes of a job that is given back
GIVEN_BACK = "status = 'pending', attempts = attempts - 1, owner = NULL, lease_until = NULL, started_at = NULL"

RESET = "status = 'pending', attempts = 0, owner = NULL, lease_until = NULL, started_at = NULL"


def move(
    db: Database, which: str, params: Sequence[Any], changes: str, values: Sequence[Any] = (), *, outcome: str
) -> int:
    """Inside write(): change so the jobs of this condition; attempts at them that are under way end so. How many.

    They are locked first: one that is claimed between the two statements would have an attempt that nobody ends.
    """
    sql = f"SELECT id FROM jobs WHERE {which} ORDER BY id{db.dialect.for_update}"
    ids = [row[0] for row in db.execute(sql, params).fetchall()]
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        attempts.end_held(db, chunk, outcome)
        db.execute(f"UPDATE jobs SET {changes} WHERE id IN ({', '.join('?' * len(chunk))})", (*values, *chunk))
    return len(ids)


def release_owner(db: Database, owner: str, *, machine: str | None = None, but: str | None = None) -> int:
    """Give back all jobs that the worker holds, as `release` does; returns how many.

    `machine`: only those that this one works on, but for the job `but`.
    """
    which = "status = 'processing' AND owner = ?" + ("" if machine is None else " AND machine = ? AND job_id <> ?")
    params = (owner,) if machine is None else (owner, machine, but or "")
    with db.write():
        return move(db, which, params, GIVEN_BACK, outcome="released")


def reset_processing(db: Database, *, older_than_s: float | None) -> int:
    """An operator's word: jobs held longer than this and without a running lease become pending, attempts anew.

    None: every processing job, lease or not. Returns how many.
    """
    which, params = ["status = 'processing'"], []
    if older_than_s is not None:
        which += ["(started_at IS NULL OR started_at <= ?)", "(lease_until IS NULL OR lease_until < ?)"]
        params = [to_text(db.now() - older_than_s), db.now()]
    with db.write():
        count = move(db, " AND ".join(which), params, RESET, outcome="reset")
        if count:
            bells.ring(db, "jobs", count=count)
            bells.ring(db, "done")
        return count
