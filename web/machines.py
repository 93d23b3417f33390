"""Machines as the page shows them: the registry, the recent audit log, and counts of transitions."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Any

from ..actors.processes.liveness import is_running, status_of
from ..storage import audit, machines
from ..storage.jobs import queries
from ..storage.payload import attributes
from .feed.backlog import Place

if TYPE_CHECKING:
    from ..storage.engine.database import Database
    from ..storage.machines import MachineRow
    from .feed.feed import Feed
    from .feed.store import Store
    from .library import Library

#: seconds for which a listing is reused while nothing happens
FRESH_S = 0.2

#: most machines whose counts are kept
MOST_COUNTED = 500

Machine = dict[str, Any]

Move = tuple[str, str, str]
"""From a state, to a state, by an event."""


class Machines:
    """The list of machines, and the place in the stream after which changes to it follow."""

    def __init__(self, store: Store, feed: Feed, library: Library) -> None:
        self._store = store
        self._feed = feed
        self._library = library
        self._lock = threading.Lock()
        self._made_s = 0.0
        self._made: tuple[Place, list[Machine]] | None = None
        #: (name, incarnation) -> why a machine failed that did so before the time that the feed reads back
        self._reasons: dict[tuple[str, str | None], str | None] = {}

    def now(self) -> tuple[Place, list[Machine]]:
        """Return all machines by name, and the place in the stream up to which they are current.

        Raises StorageError.
        """
        with self._lock:
            place = self._feed.backlog.end
            if self._made is None or self._made[0] != place or time.monotonic() - self._made_s > FRESH_S:
                self._made = (place, self._list())
                self._made_s = time.monotonic()
            return self._made

    def one(self, name: str) -> tuple[MachineRow, Machine] | None:
        """Return one machine as it is now; None if it was never seen."""
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
        process = (row.incarnation or row.machine_name, row.pid, row.status)  # shared by its machines
        if process not in alive:
            alive[process] = is_running(row, db.now())
        running = alive[process]
        summary = self._feed.board.machine(row.machine_name)
        metadata = row.metadata if isinstance(row.metadata, dict) else {}
        return {
            **attributes(row, "machine_name", "current_state", "last_activity", "pid", "host", "config_type"),
            **attributes(row, "metadata", "started_at"),
            "state_since": summary.state_since or row.last_activity,
            "running": running,
            "status": status_of(row, running),
            "template": bool(metadata.get("template")),
            "current_job": summary.job_id if running and summary.job_id in jobs else None,
            "last_error": summary.last_error or (self._reason(db, row) if row.status == "failed" else None),
            "group": self._library.group_of(row),
            "heard_at": None if row.alive_until is None else row.alive_until - machines.LEASE_S,
        }

    def _reason(self, db: Database, row: MachineRow) -> str | None:
        key = (row.machine_name, row.incarnation)
        if key not in self._reasons:
            found = audit.before(db, None, 1, [row.machine_name], ["machine_failed", "error"])
            said = found[0].fields.get("error_message") if found else None
            self._reasons[key] = None if said is None else str(said)
        return self._reasons[key]


class TransitionCounts:
    """Counts of each machine's transitions; each call reads only the rows since the last one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[int, Counter[Move]]] = OrderedDict()

    def of(self, db: Database, machine: str) -> tuple[int, Counter[Move]]:
        """Return the counts of all recorded transitions, and the id up to which the log was read."""
        with self._lock:
            after_id, counts = self._known.pop(machine, (0, Counter()))
            newest = audit.newest_id(db)
            if newest < after_id:  # the log was emptied
                after_id, counts = 0, Counter()
            after_id, more = audit.moves_after(db, machine, after_id)
            counts.update(more)
            after_id = max(after_id, newest)
            self._known[machine] = (after_id, counts)
            if len(self._known) > MOST_COUNTED:
                self._known.popitem(last=False)
            return after_id, Counter(counts)
