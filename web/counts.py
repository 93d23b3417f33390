"""How often each machine went each way: counted once, and from there on as events come."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING

from ..storage import audit

if TYPE_CHECKING:
    from ..storage.engine.database import Database

Move = tuple[str, str, str]
"""From a state, to a state, by an event."""

#: machines whose counts are kept
MOST_MACHINES = 500


class Counts:
    """Counts per machine, up to the id that each was last asked at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[int, Counter[Move]]] = OrderedDict()

    def of(self, db: Database, machine: str) -> tuple[int, Counter[Move]]:
        """All transitions on record so far, and the id up to which the log was read."""
        with self._lock:
            after_id, counts = self._known.pop(machine, (0, Counter()))
            newest = audit.newest_id(db)
            if newest < after_id:  # the log was emptied
                after_id, counts = 0, Counter()
            after_id, more = audit.moves_after(db, machine, after_id)
            counts.update(more)
            after_id = max(after_id, newest)
            self._known[machine] = (after_id, counts)
            if len(self._known) > MOST_MACHINES:
                self._known.popitem(last=False)
            return after_id, Counter(counts)
