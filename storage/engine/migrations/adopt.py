"""Take over a database that an engine before 2.0 made."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ... import private
from ...clock import from_text, to_text
from ...errors import StoreUnavailable
from ..connections import Connections

# The values of columns that may be NULL in an older table and not in the new one.
FALLBACKS = {
    "jobs": {"job_id": "'job-' || id", "job_type": "''", "priority": "5", "status": "'pending'"},
    "machine_events": {"target_machine": "''", "event_type": "''", "status": "'pending'"},
    "machine_state": {},
    "realtime_events": {"event_type": "''", "consumed": "0"},
}

TIMES = ("created_at", "started_at", "completed_at", "processed_at", "consumed_at")


def copy_beside(db: Connections) -> Path | None:
    """Copy a file with an older engine's tables to `<file>.before-2.0`. Return its path, None if there was no need.

    A copy that exists is never overwritten: it may be the only one of an earlier state.
    """
    if db.path is None or not db.tables() & set(FALLBACKS):
        return None
    target = db.path.with_name(db.path.name + ".before-2.0")
    try:
        target = _made(target)
        with db.read() as source:
            copy = sqlite3.connect(target)
            source.backup(copy)
            copy.close()
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(f"{db}: cannot copy it to {target} before upgrading it: {error}") from error
    return target


def take_over(db: Connections, table: str, successor: str) -> None:
    """Fill `successor` with the rows of `table`, including the user's own columns, and rename it to `table`."""
    ours = set(columns(db, successor))
    theirs = columns(db, table)
    for name, declared in theirs.items():
        if name not in ours:
            db.execute(f'ALTER TABLE {successor} ADD COLUMN "{name}" {declared}')
    names = ", ".join(f'"{name}"' for name in theirs)
    values = ", ".join(_taken_over(table, name) for name in theirs)
    db.execute(f"INSERT INTO {successor} ({names}) SELECT {values} FROM {table} ORDER BY 1")
    db.execute(f"DROP TABLE {table}")
    db.execute("PRAGMA legacy_alter_table = 1")  # without it, views on the table forbid the renaming
    db.execute(f"ALTER TABLE {successor} RENAME TO {table}")
    db.execute("PRAGMA legacy_alter_table = 0")


def settle_the_past(db: Connections, older: set[str]) -> None:
    """Expire old pending events (they were delivered), set due times, and convert the times of last activity."""
    if "machine_events" in older:
        now = to_text(db.now())
        db.execute("UPDATE machine_events SET status = 'expired', processed_at = ? WHERE status = 'pending'", (now,))
    if "jobs" in older:
        db.execute("UPDATE jobs SET due_at = coalesce((julianday(created_at) - 2440587.5) * 86400, 0)")
    if "machine_state" in older:
        for name, activity in db.execute("SELECT machine_name, last_activity FROM machine_state").fetchall():
            db.execute("UPDATE machine_state SET last_activity = ? WHERE machine_name = ?", (_epoch(activity), name))


def columns(db: Connections, table: str) -> dict[str, str]:
    """Return name and declared type of a SQLite table's columns."""
    return {row[1]: row[2] for row in db.execute(f"PRAGMA table_info({table})").fetchall()}


def _taken_over(table: str, column: str) -> str:
    """Return the SQL for a column's value; times stored as epoch seconds become text."""
    if column in FALLBACKS[table]:
        return f'coalesce("{column}", {FALLBACKS[table][column]})'
    if column in TIMES:
        text = f"strftime('%Y-%m-%d %H:%M:%f', \"{column}\", 'unixepoch')"
        return f"CASE WHEN typeof(\"{column}\") IN ('real', 'integer') THEN {text} ELSE \"{column}\" END"
    return f'"{column}"'


def _epoch(activity: object) -> float | None:
    try:
        return float(activity) if isinstance(activity, (int, float)) else from_text(str(activity))
    except ValueError:
        return None


def _made(wanted: Path) -> Path:
    """Create an empty file of this name, or with the first free number behind it. Return its path."""
    name, number = wanted, 1
    while True:
        try:
            private.make_file(name)
        except FileExistsError:
            number += 1
            name = wanted.with_name(f"{wanted.name}.{number}")
        else:
            return name
