"""The schema's history: small numbered files, each applied with its record in one transaction."""

from __future__ import annotations

from types import ModuleType

from ...clock import to_text
from ...errors import DatabaseMissing, ReadOnlyStore, StoreTooNew
from ..connections import Connections
from . import (
    adopt,
    m0001_tables,
    m0002_schedules,
    m0003_snapshots,
    m0004_attempts,
    m0005_monitor,
    m0006_standing,
    m0007_backoff,
    m0008_troubles,
)

LOCK = "schema"


#: the place of each one is its version
MIGRATIONS: tuple[ModuleType, ...] = (
    m0001_tables,
    m0002_schedules,
    m0003_snapshots,
    m0004_attempts,
    m0005_monitor,
    m0006_standing,
    m0007_backoff,
    m0008_troubles,
)
LATEST = len(MIGRATIONS)


def version(db: Connections) -> int:
    """Return the schema version, 0 for an empty or older engine's database; writes nothing."""
    if not db.is_postgres:
        with db.read():
            return int(db.execute("PRAGMA user_version").fetchone()[0])
    with db.read():
        if "schema_version" not in db.tables():
            return 0
        return int(db.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()[0])


def pending(db: Connections) -> list[ModuleType]:
    """Return the migrations to apply, oldest first; writes nothing. StoreTooNew for a newer engine's schema."""
    found = version(db)
    if found > LATEST:
        raise StoreTooNew(str(db), found, LATEST)
    return list(MIGRATIONS[found:])


def applied(db: Connections) -> list[tuple[int, str, str]]:
    """Return (version, name, applied_at) of each applied migration; writes nothing."""
    with db.read():
        if "schema_version" not in db.tables():
            return []
        return list(db.execute("SELECT version, name, applied_at FROM schema_version ORDER BY version").fetchall())


def bring_up_to_date(db: Connections, *, create: bool = True) -> None:
    """Apply the pending migrations, oldest first; an older engine's file is copied before it is changed.

    With `create` False an empty database stays empty: DatabaseMissing.
    """
    if not pending(db):
        return
    if not create and "jobs" not in db.tables():
        raise DatabaseMissing(f"{db}: holds no statemachine tables (yet); the start of a machine makes them")
    if db.barred:
        needed = "its tables are an older engine's, and have to be brought up to date by any command of its owner"
        raise ReadOnlyStore(f"{db} can only be read, for {db.barred}; {needed}")
    if version(db) == 0:
        adopt.copy_beside(db)
    for _ in MIGRATIONS:
        _apply_next(db)


def recreate(db: Connections) -> None:
    """Drop the engine's tables with all that is in them, and create them again."""
    with db.write():
        db.lock(LOCK)
        for table in ("schema_version", *(table for step in MIGRATIONS for table in getattr(step, "TABLES", ()))):
            db.execute(f"DROP TABLE IF EXISTS {table}")
        if not db.is_postgres:
            db.execute("PRAGMA user_version = 0")
        for _ in MIGRATIONS:
            _apply_next(db)


def _apply_next(db: Connections) -> None:
    """Apply one migration and record it. The version is read again under the lock: another process may be first."""
    with db.write():
        db.lock(LOCK)
        db.execute(
            "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL, "
            "applied_at TEXT NOT NULL)"
        )
        for migration in pending(db)[:1]:
            number = MIGRATIONS.index(migration) + 1
            migration.apply(db)
            values = (number, migration.__name__.rpartition(".")[2], to_text(db.now()))
            db.execute("INSERT INTO schema_version (version, name, applied_at) VALUES (?, ?, ?)", values)
            if not db.is_postgres:
                db.execute(f"PRAGMA user_version = {number}")
