"""Database files as the engines before 2.0 left them: tables, columns and habits from the outside contract."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

JOBS = """
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT UNIQUE NOT NULL,
    job_type TEXT NOT NULL,
    machine_type TEXT,
    source_job_id TEXT,
    data TEXT,
    result TEXT,
    priority INTEGER DEFAULT 5,
    status TEXT DEFAULT 'pending' CHECK (status IN ('pending', 'processing', 'completed', 'failed')),
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    started_at TIMESTAMP,
    completed_at TIMESTAMP,
    error_message TEXT,
    metadata TEXT
);
CREATE INDEX jobs_status ON jobs (status);
CREATE TABLE machine_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source_machine TEXT,
    target_machine TEXT NOT NULL,
    event_type TEXT NOT NULL,
    job_id TEXT,
    payload TEXT,
    status TEXT DEFAULT 'pending',
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    processed_at TIMESTAMP
);
CREATE TABLE realtime_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    machine_name TEXT NOT NULL,
    event_type TEXT NOT NULL,
    payload TEXT NOT NULL,
    created_at REAL NOT NULL DEFAULT (unixepoch('now')),
    consumed INTEGER DEFAULT 0,
    consumed_at REAL
);
"""
OLD_STATE = """
CREATE TABLE machine_state (
    machine_name TEXT PRIMARY KEY, current_state TEXT, last_activity REAL, pid INTEGER, metadata TEXT
);
"""
NEW_STATE = OLD_STATE.replace("metadata TEXT", "metadata TEXT, config_type TEXT")

ROWS = """
INSERT INTO jobs (id, job_id, job_type, machine_type, data, priority, status, created_at, started_at) VALUES
    (3, 'waiting', 'work', 'work', '{"n": 1}', 5, 'pending', '2026-01-02 03:04:05', NULL),
    (4, 'urgent', 'work', 'work', NULL, 1, 'pending', '2026-01-02 03:04:06', NULL),
    (9, 'held', 'work', 'work', '{}', 5, 'processing', '2026-01-02 03:04:05', '2026-01-02 03:05:00'),
    (12, 'done', 'work', NULL, 'no json', 5, 'completed', '2026-01-02 03:04:05', '2026-01-02 03:05:00');
INSERT INTO machine_events (id, target_machine, event_type, payload, status, created_at) VALUES
    (7, 'm', 'go', '{"x": 1}', 'pending', '2026-01-02 03:04:05'),
    (8, 'm', 'stop', '{broken', 'processed', '2026-01-02 03:04:05');
INSERT INTO machine_state (machine_name, current_state, last_activity, pid) VALUES
    ('m', 'waiting', 1767323045.25, 4711), ('n', 'stopped', '2026-01-02 03:04:05', NULL);
INSERT INTO realtime_events (id, machine_name, event_type, payload) VALUES
    (5, 'm', 'state_change', '{"from_state": "a", "to_state": "b", "event_trigger": "go"}');
"""


def make_old_file(path: Path, *, with_config_type: bool = False, rows: str = ROWS) -> Path:
    """Make a file of the older engine, or of the newer of the two, which knows `config_type`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(JOBS + (NEW_STATE if with_config_type else OLD_STATE) + rows)
    return path
