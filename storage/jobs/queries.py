"""Read the queue; nothing here changes a job."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..clock import epoch_or_zero
from ..engine.database import Database
from ..engine.sql import one_of
from .job import COLUMNS, STATUSES, Job, from_row

CHUNK = 500
#: characters of a job's data or result in a listing
LONGEST_LISTED = 20_000

Condition = tuple[str, list[Any]]
"""SQL and its parameters."""


def _briefly(column: str) -> str:
    """Return the SQL of a column as listings have it."""
    if column not in ("data", "result"):
        return column
    return f"""CASE WHEN length({column}) > {LONGEST_LISTED} THEN '{{"truncated": true}}' ELSE {column} END"""


BRIEFLY = ", ".join(map(_briefly, COLUMNS.split(", ")))


def get(db: Database, job_id: str) -> Job | None:
    """Return the job of this id; None if there is none."""
    with db.read():
        row = db.execute(f"SELECT {COLUMNS} FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
    return from_row(row) if row else None


def find(
    db: Database,
    *,
    status: str | None = None,
    job_type: str | None = None,
    machine_type: str | None = None,
    machine: str | None = None,
    limit: int | None = 20,
) -> list[Job]:
    """Return the jobs that match all that is given, newest first; `limit` None: all of them."""
    from ..engine.models import JobRow, fetch, has_status  # peewee takes longer to load than most commands take to run

    query = JobRow.select(*(getattr(JobRow, name) for name in COLUMNS.split(", ")))
    if status is not None:
        query = query.where(has_status(JobRow.status, status))
    if job_type is not None:
        query = query.where(JobRow.job_type == job_type)
    if machine_type is not None:
        query = query.where(JobRow.machine_type == machine_type)
    if machine is not None:
        query = query.where(JobRow.machine == machine)
    return [from_row(row) for row in fetch(db, query.order_by(JobRow.id.desc()).limit(limit))]


def search(
    db: Database,
    *,
    statuses: Sequence[str] = (),
    job_type: str | None = None,
    machine_type: str | None = None,
    machine: str | None = None,
    text: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[Job]:
    """Return the jobs that match all that is given, newest first, with row numbers below `before_id`.

    `text` is searched in the id, the data, the result and the error; case does not matter. Data and results of more
    than LONGEST_LISTED characters are `{"truncated": true}`, because a page of them would be too much.
    """
    parts: list[Condition] = []
    if statuses:
        parts.append((one_of("status", statuses), list(statuses)))
    given = {"job_type = ?": job_type, "machine_type = ?": machine_type, "machine = ?": machine, "id < ?": before_id}
    parts += [(condition, [value]) for condition, value in given.items() if value is not None]
    if text is not None:
        searched = ("job_id", "data", "result", "error_message")
        found = " OR ".join(f"lower({column}) LIKE ? ESCAPE '!'" for column in searched)
        parts.append((f"({found})", [f"%{_literally(text.lower())}%"] * len(searched)))
    where = " AND ".join(["1 = 1", *(condition for condition, _ in parts)])
    params = [value for _, values in parts for value in values]
    with db.read():
        rows = db.execute(f"SELECT {BRIEFLY} FROM jobs WHERE {where} ORDER BY id DESC LIMIT ?", [*params, limit])
        return [from_row(row) for row in rows]


def held(db: Database) -> set[str]:
    """Return the ids of the jobs that are processing."""
    with db.read():
        rows = db.execute("SELECT job_id FROM jobs WHERE status = 'processing'").fetchall()
    return {job_id for (job_id,) in rows}


def held_by(db: Database, owner: str) -> dict[str, tuple[str | None, int]]:
    """Return machine and attempt of each job that the owner holds, by its id."""
    with db.read():
        rows = db.execute(
            "SELECT job_id, machine, attempts FROM jobs WHERE status = 'processing' AND owner = ?", (owner,)
        ).fetchall()
    return {job_id: (machine, attempts) for job_id, machine, attempts in rows}


def oldest_start(db: Database) -> float | None:
    """Return when the job that is processing for longest was claimed, in epoch seconds; None if there is none."""
    with db.read():
        text = db.execute("SELECT min(started_at) FROM jobs WHERE status = 'processing'").fetchone()[0]
    return epoch_or_zero(text) if text else None


def waiting(db: Database) -> list[tuple[str, str, int, float]]:
    """Return type, status, number and earliest due time of the jobs that have not ended."""
    parts = [
        f"SELECT job_type, '{status}', count(*), min(due_at) FROM jobs WHERE status = '{status}' GROUP BY job_type"
        for status in ("pending", "scheduled", "processing")  # each has an index of its own
    ]
    with db.read():
        return [tuple(row) for row in db.execute(" UNION ALL ".join(parts)).fetchall()]


def pending(
    db: Database, job_type: str | None = None, machine_type: str | None = None, limit: int | None = None
) -> list[Job]:
    """Return the jobs that such a worker could claim now, in the order of its claims."""
    waiting, due = _claimable(job_type, machine_type, db.now())
    ids = f"SELECT id FROM jobs WHERE {waiting[0]} UNION ALL SELECT id FROM jobs WHERE {due[0]}"
    sql = f"SELECT {COLUMNS} FROM jobs WHERE id IN ({ids}) ORDER BY priority, due_at, id"
    params = [*waiting[1], *due[1]]
    with db.read():
        rows = db.execute(sql + (" LIMIT ?" if limit else ""), [*params, limit] if limit else params).fetchall()
    return [from_row(row) for row in rows]


def counts(db: Database) -> dict[str, int]:
    """Return the number of jobs of each status, zeros included."""
    rare = [status for status in STATUSES if status != "completed"]  # each of these has an index of its own
    parts = ["SELECT count(*) FROM jobs", *(f"SELECT count(*) FROM jobs WHERE status = '{status}'" for status in rare)]
    with db.read():
        total, *found = db.execute(f"SELECT {', '.join(f'({part})' for part in parts)}").fetchone()
    known = dict(zip(rare, found, strict=True))
    return {status: known.get(status, total - sum(found)) for status in STATUSES}


def statuses(db: Database, job_ids: Iterable[str]) -> dict[str, str]:
    """Return the status by job id; ids without a job are missing."""
    ids = list(job_ids)
    found: dict[str, str] = {}
    with db.read():
        for start in range(0, len(ids), CHUNK):
            chunk = ids[start : start + CHUNK]
            found.update(
                db.execute(f"SELECT job_id, status FROM jobs WHERE {one_of('job_id', chunk)}", chunk).fetchall()
            )
    return found


def suiting(job_type: str | None, machine_type: str | None) -> Condition:
    """Return the condition, beginning with " AND " or empty, that such a worker may take a job."""
    suits, params = "", []
    if job_type is not None:
        suits += " AND job_type = ?"
        params.append(job_type)
    if machine_type is not None:
        suits += " AND (machine_type IS NULL OR machine_type = ?)"
        params.append(machine_type)
    return suits, params


def claimable(db: Database, keys: Iterable[tuple[str | None, str | None]]) -> set[tuple[str | None, str | None]]:
    """Return those (job_type, machine_type) for which a worker would find a job now."""
    now = db.now()
    with db.read():
        return {key for key in keys if any(_exists(db, *part) for part in _claimable(*key, now))}


def _literally(text: str) -> str:
    """Escape a text for LIKE ... ESCAPE '!', so that each character stands for itself."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _exists(db: Database, condition: str, params: Sequence[Any]) -> bool:
    return db.execute(f"SELECT 1 FROM jobs WHERE {condition} LIMIT 1", params).fetchone() is not None


def _claimable(job_type: str | None, machine_type: str | None, now: float) -> tuple[Condition, Condition]:
    """Return the conditions for pending jobs and for scheduled ones that are due; no index serves one with "or"."""
    suits, params = suiting(job_type, machine_type)
    return (f"status = 'pending'{suits}", params), (f"status = 'scheduled' AND due_at <= ?{suits}", [now, *params])
