"""The registry of machines: which ones run, where, in which state, and until when they are taken for alive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from .engine.database import Database
from .engine.sql import upsert
from .errors import MachineTaken
from .payload import dumps, loads
from .row import Row

LEASE_S = 30.0
"""Seconds after its last heartbeat in which another host may not take a machine over."""

ACTIVE = ("running", "failed")
"""A failed machine stays where it is and still answers events."""


@dataclass(frozen=True, slots=True)
class MachineRow(Row):
    """One row of `machine_state`."""

    machine_name: str
    current_state: str | None
    last_activity: float | None
    """Epoch seconds."""
    pid: int | None
    metadata: Any
    config_type: str | None
    host: str | None
    incarnation: str | None
    """The run of a runtime that holds, or last held, the name."""
    alive_until: float | None
    """Epoch seconds; until then other hosts take the holder for alive."""
    control_socket: str | None
    status: str
    """running, failed, ended or standby."""
    definition_hash: str | None
    started_at: float | None

    @property
    def running(self) -> bool:
        """True while a runtime holds the name according to the table."""
        return self.status in ACTIVE and self.pid is not None


NAMES = tuple(field.name for field in fields(MachineRow))
COLUMNS = ", ".join(NAMES)
ACQUIRE = upsert("machine_state", NAMES, metadata="coalesce(excluded.metadata, machine_state.metadata)")


def acquire(
    db: Database,
    name: str,
    *,
    incarnation: str,
    pid: int,
    host: str,
    config_type: str | None,
    state: str,
    control_socket: str | None,
    lease_s: float = LEASE_S,
    is_alive: Callable[[MachineRow], bool],
    definition_hash: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> MachineRow | None:
    """Take the name for this incarnation, atomically. Return the row as it was before, None if there was none.

    `metadata` is for tools to read; None keeps the row's. MachineTaken while another incarnation holds the name: on
    this host while `is_alive` returns True, on another host while its lease runs.
    """
    with db.write():
        db.lock(f"machine:{name}")
        now = db.now()
        previous = get(db, name)
        if previous is not None and previous.incarnation != incarnation and _holds(previous, host, now, is_alive):
            raise MachineTaken(name, previous.pid, previous.host)
        notes = None if metadata is None else dumps(metadata)
        holder = (host, incarnation, now + lease_s, control_socket, "running", definition_hash, now)
        db.execute(ACQUIRE, (name, state, now, pid, notes, config_type, *holder))
    return previous


def heartbeat(db: Database, incarnation: str, lease_s: float = LEASE_S) -> int:
    """Let every machine of the incarnation be alive for `lease_s` more. Return the number of machines that it holds."""
    with db.write():
        return db.execute(
            "UPDATE machine_state SET alive_until = ? WHERE incarnation = ? AND status IN ('running', 'failed')",
            (db.now() + lease_s, incarnation),
        ).rowcount


def release(db: Database, name: str, incarnation: str, *, status: str = "ended") -> None:
    """Release the name; the row stays, without a pid. Does nothing if another incarnation holds the name."""
    update(db, name, incarnation, status=status, pid=None, alive_until=None)


def update(db: Database, name: str, incarnation: str, **columns: str | None) -> None:
    """Set columns of the machine's row. Does nothing if another incarnation holds the name."""
    changes = ", ".join(f"{column} = ?" for column in columns)
    with db.write():
        db.execute(
            f"UPDATE machine_state SET {changes} WHERE machine_name = ? AND incarnation = ?",
            (*columns.values(), name, incarnation),
        )


def get(db: Database, name: str) -> MachineRow | None:
    """Return the machine of this name; None if it never ran."""
    with db.read():
        row = db.execute(f"SELECT {COLUMNS} FROM machine_state WHERE machine_name = ?", (name,)).fetchone()
    return _machine(row) if row else None


def list_(db: Database) -> list[MachineRow]:
    """Return all machines ever seen, by name."""
    with db.read():
        return [_machine(row) for row in db.execute(f"SELECT {COLUMNS} FROM machine_state ORDER BY machine_name")]


def control_sockets(db: Database, host: str) -> dict[str, str]:
    """Return one control socket of each incarnation that holds machines on this host."""
    with db.read():
        rows = db.execute(
            "SELECT incarnation, min(control_socket) FROM machine_state WHERE status IN ('running', 'failed') "
            "AND pid IS NOT NULL AND control_socket IS NOT NULL AND incarnation IS NOT NULL "
            "AND (host IS NULL OR host = ?) GROUP BY incarnation",
            (host,),
        ).fetchall()
    return dict(rows)


# Helpers


def _holds(row: MachineRow, host: str, now: float, is_alive: Callable[[MachineRow], bool]) -> bool:
    if not row.running:
        return False
    return is_alive(row) if row.host == host else (row.alive_until or 0.0) > now


def _machine(row: Any) -> MachineRow:
    name, state, activity, pid, metadata, *rest = row
    return MachineRow(name, state, activity, pid, loads(metadata), *rest)
