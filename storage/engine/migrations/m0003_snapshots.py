"""A row for each machine that resumes: its state, context, job and timers."""

from __future__ import annotations

from ..connections import Connections

TABLES = ("machine_snapshots",)

SNAPSHOTS = """
CREATE TABLE machine_snapshots (
    machine_name TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    settled INTEGER NOT NULL,
    context TEXT NOT NULL,
    job_id TEXT,
    attempt INTEGER,
    timers TEXT NOT NULL,
    incarnation TEXT,
    definition_hash TEXT,
    saved_at {double} NOT NULL
)"""


def apply(db: Connections) -> None:
    """Create the table."""
    db.execute(SNAPSHOTS.format(double=db.dialect.double))
