"""The four tables with the names and columns of older engines, and the columns for leases, timers and liveness."""

from __future__ import annotations

from ..connections import Connections
from . import adopt

TABLES = ("jobs", "machine_events", "machine_state", "realtime_events")

# A row put in by hand with the older columns alone is a complete row: everything added has a default.
NOW = {
    False: "(strftime('%Y-%m-%d %H:%M:%f', 'now'))",
    True: "(to_char(now() AT TIME ZONE 'utc', 'YYYY-MM-DD HH24:MI:SS.MS'))",
}

JOBS = """
CREATE TABLE {name} (
    id {identity},
    job_id TEXT NOT NULL UNIQUE,
    job_type TEXT NOT NULL,
    machine_type TEXT,
    source_job_id TEXT,
    data TEXT,
    result TEXT,
    priority INTEGER NOT NULL DEFAULT 5,
    status TEXT NOT NULL DEFAULT 'pending',
    created_at TEXT DEFAULT {now},
    started_at TEXT,
    completed_at TEXT,
    error_message TEXT,
    metadata TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER,
    due_at {double} NOT NULL DEFAULT 0,
    owner TEXT,
    lease_s {double},
    lease_until {double},
    unique_key TEXT
)"""

MACHINE_EVENTS = """
CREATE TABLE {name} (
    id {identity},
    source_machine TEXT,
    target_machine TEXT NOT NULL,
    event_type TEXT NOT NULL,
    job_id TEXT,
    payload TEXT,
    status TEXT NOT NULL DEFAULT 'pending',
    created_at TEXT DEFAULT {now},
    processed_at TEXT,
    expires_at {double}
)"""

MACHINE_STATE = """
CREATE TABLE {name} (
    machine_name TEXT PRIMARY KEY,
    current_state TEXT,
    last_activity {double},
    pid INTEGER,
    metadata TEXT,
    config_type TEXT,
    host TEXT,
    incarnation TEXT,
    alive_until {double},
    control_socket TEXT,
    status TEXT NOT NULL DEFAULT 'ended',
    definition_hash TEXT,
    started_at {double}
)"""

REALTIME_EVENTS = """
CREATE TABLE {name} (
    id {identity},
    machine_name TEXT,
    event_type TEXT NOT NULL,
    payload TEXT,
    created_at TEXT DEFAULT {now},
    consumed INTEGER NOT NULL DEFAULT 0,
    consumed_at TEXT
)"""

# Partial indexes hold only what waits, is held or went wrong, so they stay small however long the history grows.
# One status each: SQLite does not see that "status IN (a, b)" covers "status = a".
INDEXES = (
    "CREATE INDEX jobs_ready ON jobs (job_type, priority, due_at, id, machine_type) WHERE status = 'pending'",
    "CREATE INDEX jobs_ready_of_any_type ON jobs (priority, due_at, id, machine_type) WHERE status = 'pending'",
    "CREATE INDEX jobs_scheduled ON jobs (due_at) WHERE status = 'scheduled'",
    "CREATE INDEX jobs_held ON jobs (id, lease_until, owner) WHERE status = 'processing'",
    "CREATE INDEX jobs_failed ON jobs (id) WHERE status = 'failed'",
    "CREATE INDEX jobs_cancelled ON jobs (id) WHERE status = 'cancelled'",
    "CREATE UNIQUE INDEX jobs_unique_key ON jobs (unique_key) "
    "WHERE unique_key IS NOT NULL AND status IN ('pending', 'scheduled', 'processing')",
    "CREATE INDEX machine_events_target ON machine_events (target_machine, id)",
    "CREATE INDEX machine_events_unread ON machine_events (target_machine, id, expires_at) WHERE status = 'pending'",
    "CREATE INDEX machine_state_incarnation ON machine_state (incarnation)",
    "CREATE INDEX realtime_errors ON realtime_events (id) WHERE event_type = 'error'",
)


def apply(db: Connections) -> None:
    """Create the tables; those of an older engine are rebuilt with their rows."""
    older = set(TABLES) & db.tables()
    for table, statement in zip(TABLES, (JOBS, MACHINE_EVENTS, MACHINE_STATE, REALTIME_EVENTS), strict=True):
        name = f"{table}_2_0" if table in older else table
        now = NOW[db.is_postgres]
        db.execute(statement.format(name=name, identity=db.dialect.identity, double=db.dialect.double, now=now))
        if table in older:
            adopt.take_over(db, table, name)
    adopt.settle_the_past(db, older)
    for statement in INDEXES:
        db.execute(statement)
