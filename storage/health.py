"""Checks of the store itself, for `doctor`."""

from __future__ import annotations

from dataclasses import dataclass

from .engine.database import Database
from .errors import StoreUnavailable

IDLE_S = 60.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """Unread events of one machine."""

    machine: str
    count: int
    oldest: str
    """The time at which the oldest was sent, as UTC text."""


def takes_writes(db: Database) -> str:
    """Return why no transaction that writes can begin, after some seconds of waiting; empty if one can."""
    try:
        with db.write():
            return ""
    except StoreUnavailable as error:
        return str(error)


def idle_transactions(db: Database) -> list[tuple[int, float]]:
    """Return (server process id, seconds) of idle transactions that hold their locks; none on SQLite."""
    if not db.is_postgres:
        return []
    with db.read():
        rows = db.execute(
            "SELECT pid, extract(epoch FROM now() - state_change)::float8 FROM pg_stat_activity "
            "WHERE datname = current_database() AND state = 'idle in transaction' "
            "AND state_change < now() - make_interval(secs => ?)",
            (IDLE_S,),
        ).fetchall()
    return [(row[0], row[1]) for row in rows]


def damage(db: Database) -> list[str]:
    """Check the structure of the SQLite file. Return what is wrong with it."""
    if db.is_postgres:
        return []
    with db.read():
        found = [row[0] for row in db.execute("PRAGMA quick_check(5)")]
    return [] if found == ["ok"] else found


def server_version(db: Database) -> str:
    """Return the name and version of the database server or library."""
    sql = "SELECT current_setting('server_version')" if db.is_postgres else "SELECT sqlite_version()"
    with db.read():
        return f"{'PostgreSQL' if db.is_postgres else 'SQLite'} {db.execute(sql).fetchone()[0]}"


def unread(db: Database, *, older_than_s: float) -> list[Waiting]:
    """Return the events that have waited for this long and not expired, by machine."""
    from .clock import to_text

    with db.read():
        rows = db.execute(
            "SELECT target_machine, count(*), min(created_at) FROM machine_events WHERE status = 'pending' "
            "AND (expires_at IS NULL OR expires_at > ?) AND created_at < ? GROUP BY target_machine ORDER BY 1",
            (db.now(), to_text(db.now() - older_than_s)),
        ).fetchall()
    return [Waiting(*row) for row in rows]


def held(db: Database, *, expired_for_s: float) -> tuple[int, int]:
    """Return the number of held jobs without a lease (an older engine's), and of those whose lease expired before."""
    with db.read():
        row = db.execute(
            "SELECT sum(CASE WHEN lease_until IS NULL THEN 1 ELSE 0 END), "
            "sum(CASE WHEN lease_until < ? THEN 1 ELSE 0 END) FROM jobs WHERE status = 'processing'",
            (db.now() - expired_for_s,),
        ).fetchone()
    return int(row[0] or 0), int(row[1] or 0)
