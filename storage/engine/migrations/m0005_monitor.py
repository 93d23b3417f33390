"""Data for the monitor: each machine's context, and how long actions took."""

from __future__ import annotations

from ..connections import Connections

TABLES = ("machine_contexts", "action_seconds")

CONTEXTS = """
CREATE TABLE machine_contexts (
    machine_name TEXT PRIMARY KEY,
    context TEXT NOT NULL,
    saved_at {double} NOT NULL
)"""

#: a row per bar of the histogram, so that any number of processes can add to it
SECONDS = """
CREATE TABLE action_seconds (
    config_type TEXT NOT NULL,
    action TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    times BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    seconds {double} NOT NULL,
    PRIMARY KEY (config_type, action, bucket)
)"""


def apply(db: Connections) -> None:
    """Create the tables."""
    for table in (CONTEXTS, SECONDS):
        db.execute(table.format(double=db.dialect.double))
