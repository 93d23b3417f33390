"""How often each machine went each way: counted once, and from there on as events come."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..storage import audit

if TYPE_CHECKING:
    from ..storage.audit import Event
    from ..storage.database import Database

Move = tuple[str, str, str]
"""From a state, to a state, by an event."""

CHUNK = 5000
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
            while events := audit.since(db, after_id, CHUNK, [machine], ["state_change"]):
                after_id = events[-1].id
                counts.update(_moves(events))
            after_id = max(after_id, newest)
            self._known[machine] = (after_id, counts)
            if len(self._known) > MOST_MACHINES:
                self._known.popitem(last=False)
            return after_id, Counter(counts)


def _moves(events: Iterable[Event]) -> Iterable[Move]:
    for event in events:
        if isinstance(event.payload, dict):
            yield tuple(str(event.payload.get(key)) for key in ("from_state", "to_state", "event_trigger"))  # type: ignore[misc]
