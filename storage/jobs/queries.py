"""Looking at the queue: nothing here changes a job."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..clock import epoch_or_zero
from ..engine.database import Database
from .job import COLUMNS, STATUSES, Job, from_row

CHUNK = 500
#: characters of a job's data or result in a listing
LONGEST_LISTED = 20_000

Condition = tuple[str, list[Any]]
"""SQL and its parameters."""


def _briefly(column: str) -> str:
    """A column as listings have it."""
    if column not in ("data", "result"):
        return column
    return f"""CASE WHEN length({column}) > {LONGEST_LISTED} THEN '{{"truncated": true}}' ELSE {column} END"""


BRIEFLY = ", ".join(map(_briefly, COLUMNS.split(", ")))


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
    machine: str | None = None,
    limit: int | None = 20,
    newest_first: bool = True,
) -> list[Job]:
    """Jobs that match all that is given, in order of insertion; `limit` None: all of them."""
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
    query = query.order_by(JobRow.id.desc() if newest_first else JobRow.id)
    return [from_row(row) for row in fetch(db, query.limit(limit))]


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
    """Jobs that match all that is given, newest first, with row numbers below `before_id`.

    Data and results of more than LONGEST_LISTED characters are `{"truncated": true}`: a page of them would be too much.
    `text`: within the id, the data, the result or the error, whatever the case of its letters.
    """
    parts: list[Condition] = []
    if statuses:
        parts.append((f"status IN ({', '.join('?' * len(statuses))})", list(statuses)))
    if job_type is not None:
        parts.append(("job_type = ?", [job_type]))
    if machine_type is not None:
        parts.append(("machine_type = ?", [machine_type]))
    if machine is not None:
        parts.append(("machine = ?", [machine]))
    if text is not None:
        searched = ("job_id", "data", "result", "error_message")
        found = " OR ".join(f"lower({column}) LIKE ? ESCAPE '!'" for column in searched)
        parts.append((f"({found})", [f"%{_literally(text.lower())}%"] * len(searched)))
    if before_id is not None:
        parts.append(("id < ?", [before_id]))
    where = " AND ".join(["1 = 1", *(condition for condition, _ in parts)])
    params = [value for _, values in parts for value in values]
    with db.read():
        rows = db.execute(f"SELECT {BRIEFLY} FROM jobs WHERE {where} ORDER BY id DESC LIMIT ?", [*params, limit])
        return [from_row(row) for row in rows]


def held(db: Database) -> set[str]:
    """Ids of the jobs that are being worked on."""
    with db.read():
        rows = db.execute("SELECT job_id FROM jobs WHERE status = 'processing'").fetchall()
    return {job_id for (job_id,) in rows}


def held_by(db: Database, owner: str) -> dict[str, tuple[str | None, int]]:
    """Machine and attempt of each job that the owner holds, by its id."""
    with db.read():
        rows = db.execute(
            "SELECT job_id, machine, attempts FROM jobs WHERE status = 'processing' AND owner = ?", (owner,)
        ).fetchall()
    return {job_id: (machine, attempts) for job_id, machine, attempts in rows}


def oldest_start(db: Database) -> float | None:
    """When the job that is being worked on for longest was claimed, in epoch seconds; None: there is none."""
    with db.read():
        text = db.execute("SELECT min(started_at) FROM jobs WHERE status = 'processing'").fetchone()[0]
    return epoch_or_zero(text) if text else None


def waiting(db: Database) -> list[tuple[str, str, int, float]]:
    """Of jobs that are not over: type, status, how many, and when the one that waits longest became due."""
    parts = [
        f"SELECT job_type, '{status}', count(*), min(due_at) FROM jobs WHERE status = '{status}' GROUP BY job_type"
        for status in ("pending", "scheduled", "processing")  # each has an index of its own
    ]
    with db.read():
        return [tuple(row) for row in db.execute(" UNION ALL ".join(parts)).fetchall()]


def pending(
    db: Database, job_type: str | None = None, machine_type: str | None = None, limit: int | None = None
) -> list[Job]:
    """Jobs that such a worker could claim now, in the order in which it would."""
    waiting, due = _claimable(job_type, machine_type, db.now())
    ids = f"SELECT id FROM jobs WHERE {waiting[0]} UNION ALL SELECT id FROM jobs WHERE {due[0]}"
    sql = f"SELECT {COLUMNS} FROM jobs WHERE id IN ({ids}) ORDER BY priority, due_at, id"
    params = [*waiting[1], *due[1]]
    with db.read():
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
        return {key for key in keys if any(_exists(db, *part) for part in _claimable(*key, now))}


def _literally(text: str) -> str:
    """For LIKE ... ESCAPE '!': each character stands for itself."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _exists(db: Database, condition: str, params: Sequence[Any]) -> bool:
    return db.execute(f"SELECT 1 FROM jobs WHERE {condition} LIMIT 1", params).fetchone() is not None


def _claimable(job_type: str | None, machine_type: str | None, now: float) -> tuple[Condition, Condition]:
    """Conditions for waiting jobs and for scheduled ones that are due; not one with "or", which no index serves."""
    suits, params = "", []
    if job_type is not None:
        suits += " AND job_type = ?"
        params.append(job_type)
    if machine_type is not None:
        suits += " AND (machine_type IS NULL OR machine_type = ?)"
        params.append(machine_type)
    return (f"status = 'pending'{suits}", params), (f"status = 'scheduled' AND due_at <= ?{suits}", [now, *params])
