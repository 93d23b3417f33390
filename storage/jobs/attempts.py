"""The end of each attempt at a job: a row, written in the transaction that ends the attempt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from ..clock import to_text
from ..engine.database import Database
from ..engine.sql import one_of
from ..payload import clean
from ..row import Row
from .job import Job

OUTCOMES = ("completed", "failed", "retried", "timed_out", "released", "lost", "cancelled", "reset")

END = """
INSERT INTO job_attempts (job, number, attempt, machine, owner, started_at, ended_at, outcome, error_message, output)
VALUES (?, (SELECT count(*) + 1 FROM job_attempts WHERE job = ?), ?, ?, ?, ?, ?, ?, ?, ?)"""

# A job that an older engine left `processing` was never claimed here: no attempt of it is known.
END_HELD = """
INSERT INTO job_attempts (job, number, attempt, machine, owner, started_at, ended_at, outcome)
SELECT id, (SELECT count(*) + 1 FROM job_attempts WHERE job = jobs.id), attempts, machine, owner, started_at, ?, ?
FROM jobs WHERE status = 'processing' AND attempts > 0 AND """


@dataclass(frozen=True, slots=True)
class Attempt(Row):
    """One row of `job_attempts`: an attempt that is over."""

    number: int
    """1 is the first one ever."""
    attempt: int
    """The claim's number; after an operator's retry it starts at 1 again."""
    machine: str | None
    owner: str | None
    """The runtime that the machine lived in."""
    started_at: str | None
    """UTC text with milliseconds, like the other one."""
    ended_at: str
    outcome: str
    """One of OUTCOMES; `released` and `reset` are not counted as attempts, `lost` means that the worker was gone."""
    error_message: str | None
    output: str | None
    """The end of what its commands wrote, where the worker itself ended it."""


COLUMNS = ", ".join(field.name for field in fields(Attempt))


def end(db: Database, job: Job, outcome: str, *, reason: str | None = None, output: str | None = None) -> None:
    """Inside write(), record the end of the attempt at a held job; `job` is as it was while it was held."""
    output = clean(output) or None if output else None
    held = (job.attempts, job.machine, job.owner, job.started_at)
    db.execute(END, (job.id, job.id, *held, to_text(db.now()), outcome, reason, output))


def end_held(db: Database, jobs: Sequence[int], outcome: str) -> None:
    """Inside write(), record the end of the attempts at those jobs that are held; `jobs` are row numbers."""
    db.execute(END_HELD + one_of("id", jobs), (to_text(db.now()), outcome, *jobs))


def of(db: Database, job: Job) -> list[Attempt]:
    """Return the attempts at a job that are over, oldest first."""
    with db.read():
        rows = db.execute(f"SELECT {COLUMNS} FROM job_attempts WHERE job = ? ORDER BY number", (job.id,)).fetchall()
    return [Attempt(*row) for row in rows]


def forget(db: Database, jobs: Sequence[int]) -> None:
    """Inside write(), delete the attempts at the jobs of these row numbers."""
    if jobs:
        db.execute(f"DELETE FROM job_attempts WHERE {one_of('job', jobs)}", jobs)
