"""Machines as the page sees them: the registry's row, and what the audit log said lately."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from ..actors.processes.liveness import is_running, status_of
from ..actors.runtime.maintenance import MACHINE_LEASE_S
from ..storage import audit, machines
from ..storage.jobs import queries
from .feed.backlog import Place

if TYPE_CHECKING:
    from ..storage.engine.database import Database
    from ..storage.machines import MachineRow
    from .feed.feed import Feed
    from .feed.store import Store
    from .library import Library

#: seconds for which a listing serves everybody who asks, unless something happens
FRESH_S = 0.2

Machine = dict[str, Any]


class Machines:
    """The list of machines, and the place in the stream from which changes to it follow."""

    def __init__(self, store: Store, feed: Feed, library: Library) -> None:
        self._store = store
        self._feed = feed
        self._library = library
        self._lock = threading.Lock()
        self._made_s = 0.0
        self._made: tuple[Place, list[Machine]] | None = None
        #: why machines failed that did so longer ago than the feed looks back, by name and incarnation
        self._reasons: dict[tuple[str, str | None], str | None] = {}

    def now(self) -> tuple[Place, list[Machine]]:
        """All machines ever seen, by name; what happens after the place is not in it yet. StorageError."""
        with self._lock:
            place = self._feed.backlog.end
            if self._made is None or self._made[0] != place or time.monotonic() - self._made_s > FRESH_S:
                self._made = (place, self._list())
                self._made_s = time.monotonic()
            return self._made

    def one(self, name: str) -> tuple[MachineRow, Machine] | None:
        """One machine, as of this moment."""
        db = self._store.db
        row = machines.get(db, name)
        return None if row is None else (row, self._shown(db, row, queries.held(db), {}))

    # Helpers

    def _list(self) -> list[Machine]:
        db = self._store.db
        jobs = queries.held(db)
        alive: dict[object, bool] = {}
        return [self._shown(db, row, jobs, alive) for row in machines.list_(db)]

    def _shown(self, db: Database, row: MachineRow, jobs: set[str], alive: dict[object, bool]) -> Machine:
        process = (row.incarnation or row.machine_name, row.pid, row.status)  # its machines live and die together
        if process not in alive:
            alive[process] = is_running(row, db.now())
        running = alive[process]
        memory = self._feed.board.memory(row.machine_name)
        metadata = row.metadata if isinstance(row.metadata, dict) else {}
        return {
            "machine_name": row.machine_name,
            "current_state": row.current_state,
            "last_activity": row.last_activity,
            "state_since": memory.state_since or row.last_activity,
            "running": running,
            "status": status_of(row, running),
            "pid": row.pid,
            "host": row.host,
            "config_type": row.config_type,
            "template": bool(metadata.get("template")),
            "metadata": row.metadata,
            "current_job": memory.job_id if running and memory.job_id in jobs else None,
            "last_error": memory.last_error or (self._reason(db, row) if row.status == "failed" else None),
            "group": self._library.group_of(row),
            "started_at": row.started_at,
            "heard_at": None if row.alive_until is None else row.alive_until - MACHINE_LEASE_S,
        }

    def _reason(self, db: Database, row: MachineRow) -> str | None:
        key = (row.machine_name, row.incarnation)
        if key not in self._reasons:
            found = audit.before(db, None, 1, [row.machine_name], ["machine_failed", "error"])
            said = found[0].payload.get("error_message") if found and isinstance(found[0].payload, dict) else None
            self._reasons[key] = None if said is None else str(said)
        return self._reasons[key]
