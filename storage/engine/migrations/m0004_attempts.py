"""A row for each attempt at a job; a job's machine and time limit."""

from __future__ import annotations

from ..connections import Connections
from . import adopt

TABLES = ("job_attempts",)

ATTEMPTS = """
CREATE TABLE job_attempts (
    job BIGINT NOT NULL,
    number INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    machine TEXT,
    owner TEXT,
    started_at TEXT,
    ended_at TEXT NOT NULL,
    outcome TEXT NOT NULL,
    error_message TEXT,
    output TEXT,
    PRIMARY KEY (job, number)
){clustered}"""


def apply(db: Connections) -> None:
    """Create the table, and the columns of `jobs` unless the user of an older engine has added them."""
    known = set() if db.is_postgres else set(adopt.columns(db, "jobs"))
    for name, kind in {"machine": "TEXT", "time_limit_s": db.dialect.double}.items():
        if name not in known:
            db.execute(f"ALTER TABLE jobs ADD COLUMN {name} {kind}")
    db.execute(ATTEMPTS.format(clustered=db.dialect.clustered))
