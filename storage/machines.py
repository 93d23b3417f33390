"""The register of machines: who runs, where, in which state, and since when nobody has heard of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from .engine.database import Database
from .errors import MachineTaken
from .payload import dumps, loads
from .row import Row

ACTIVE = ("running", "failed")
"""A failed machine stays where it is and still answers events."""

ACQUIRE = """
INSERT INTO machine_state (machine_name, current_state, last_activity, pid, config_type, host, incarnation, alive_until,
                           control_socket, status, definition_hash, metadata, started_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'running', ?, ?, ?)
ON CONFLICT (machine_name) DO UPDATE SET
    current_state = excluded.current_state, last_activity = excluded.last_activity, pid = excluded.pid,
    config_type = excluded.config_type, host = excluded.host, incarnation = excluded.incarnation,
    alive_until = excluded.alive_until, control_socket = excluded.control_socket, status = excluded.status,
    definition_hash = excluded.definition_hash, metadata = coalesce(excluded.metadata, machine_state.metadata),
    started_at = excluded.started_at"""


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
    """Epoch seconds; other hosts believe in the holder until then."""
    control_socket: str | None
    status: str
    """running, failed, ended or standby."""
    definition_hash: str | None
    started_at: float | None

    @property
    def running(self) -> bool:
        """True while a runtime holds the name, as far as the table knows."""
        return self.status in ACTIVE and self.pid is not None


COLUMNS = ", ".join(field.name for field in fields(MachineRow))


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
    lease_s: float = 30.0,
    is_alive: Callable[[MachineRow], bool],
    definition_hash: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> MachineRow | None:
    """Take the name for this incarnation, atomically; returns the row as it was, None if there was none.

    `metadata` is for tools to read; None keeps what the row has.

    MachineTaken while another incarnation holds it: on this host as long as `is_alive` says so, on another host as long
    as its lease runs.
    """
    with db.write():
        db.lock(f"machine:{name}")
        now = db.now()
        previous = get(db, name)
        if previous is not None and previous.incarnation != incarnation and _holds(previous, host, now, is_alive):
            raise MachineTaken(name, previous.pid, previous.host)
        values = (name, state, now, pid, config_type, host, incarnation, now + lease_s, control_socket)
        db.execute(ACQUIRE, (*values, definition_hash, None if metadata is None else dumps(metadata), now))
    return previous


def heartbeat(db: Database, incarnation: str, lease_s: float = 30.0) -> int:
    """Every machine of the incarnation is alive for `lease_s` more; returns how many it still holds."""
    with db.write():
        return db.execute(
            "UPDATE machine_state SET alive_until = ? WHERE incarnation = ? AND status IN ('running', 'failed')",
            (db.now() + lease_s, incarnation),
        ).rowcount


def release(db: Database, name: str, incarnation: str, *, status: str = "ended") -> None:
    """Give the name free; the row stays, without a pid. Nothing happens if another incarnation holds it by now."""
    with db.write():
        db.execute(
            "UPDATE machine_state SET status = ?, pid = NULL, alive_until = NULL "
            "WHERE machine_name = ? AND incarnation = ?",
            (status, name, incarnation),
        )


def set_status(db: Database, name: str, incarnation: str, status: str) -> None:
    """Say how the machine fares, unless another incarnation holds it by now."""
    with db.write():
        db.execute(
            "UPDATE machine_state SET status = ? WHERE machine_name = ? AND incarnation = ?",
            (status, name, incarnation),
        )


def set_door(db: Database, name: str, incarnation: str, control_socket: str | None) -> None:
    """Where the machine listens now, None for nowhere; unless another incarnation holds the name by now."""
    with db.write():
        db.execute(
            "UPDATE machine_state SET control_socket = ? WHERE machine_name = ? AND incarnation = ?",
            (control_socket, name, incarnation),
        )


def get(db: Database, name: str) -> MachineRow | None:
    """The machine of this name."""
    with db.read():
        row = db.execute(f"SELECT {COLUMNS} FROM machine_state WHERE machine_name = ?", (name,)).fetchone()
    return _machine(row) if row else None


def list_(db: Database) -> list[MachineRow]:
    """All machines ever seen, by name."""
    with db.read():
        return [_machine(row) for row in db.execute(f"SELECT {COLUMNS} FROM machine_state ORDER BY machine_name")]


def doors(db: Database, host: str) -> dict[str, str]:
    """One control socket of each incarnation that holds machines on this host."""
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
