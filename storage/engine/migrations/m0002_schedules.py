"""A row for each schedule: its next firing, and the result of the last one."""

from __future__ import annotations

from ..connections import Connections

TABLES = ("schedules",)

SCHEDULES = """
CREATE TABLE schedules (
    schedule_id TEXT PRIMARY KEY,
    machine_name TEXT NOT NULL,
    config_type TEXT,
    cron TEXT NOT NULL,
    timezone TEXT NOT NULL,
    what TEXT NOT NULL,
    spec TEXT NOT NULL,
    next_at {double},
    last_at {double},
    last_result TEXT,
    fired INTEGER NOT NULL DEFAULT 0,
    left_out INTEGER NOT NULL DEFAULT 0
)"""


def apply(db: Connections) -> None:
    """Create the table."""
    db.execute(SCHEDULES.format(double=db.dialect.double))
