"""The events of a machine in their order: those seen, those that wait in memory, and those still in the mailbox."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from ...storage import mailbox
from ...storage.errors import StorageError
from ..sockets.messages import EventMessage

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ..metrics.outage import Outage

#: events kept in memory while actions run; further ones wait in the mailbox
BACKLOG = 1000

#: ids of delivered events that are kept to recognise a second delivery
SEEN = 8192


class MailboxReader:
    """Puts datagrams and rows into one order; used in the actor's thread.

    A datagram names its row and the row before it for the same machine. If that one was not seen, a datagram was lost:
    then the rows are fetched, so that the order is the mailbox's.
    """

    def __init__(self, db: Database, name: str, outage: Outage) -> None:
        """Read the mailbox of the machine `name`; `outage` records that it cannot be read or written."""
        self._db = db
        self._name = name
        self._outage = outage
        self._waiting: deque[EventMessage] = deque()
        #: events that wait until the delayed moves of a state are made
        self.deferred: deque[EventMessage] = deque()
        self._cursor = 0
        self._seen: dict[int, None] = {}
        #: all ids up to this one were seen, and are not kept in `_seen`
        self._all_seen = 0
        #: True if the mailbox has rows after the cursor
        self._more = False

    def __bool__(self) -> bool:
        """Return True if events wait, in memory or in the mailbox."""
        return bool(self._waiting or self.deferred) or self._more

    def accept(self, event: EventMessage, acts_at_once: Callable[[EventMessage], bool]) -> list[EventMessage]:
        """Return the events to handle for a datagram: that event, none if it was seen, or the missed ones as well.

        An event that acts at once overtakes those that were missed; they are fetched next.
        """
        if event.event_id is None:
            return [event]
        if self._has_seen(event.event_id):
            return []
        if self._is_behind(event):
            if not acts_at_once(event):
                return self.fetch()
            self._more = True
        else:
            self._cursor = max(self._cursor, event.event_id)
        self._see(event.event_id)
        return [event]

    def fetch(self) -> list[EventMessage]:
        """Return the unread rows after the cursor, at most as many as fit into memory."""
        room = BACKLOG - len(self._waiting)
        if room <= 0:
            self._more = True
            return []
        rows = self._unread(self._cursor, room)
        self._more = len(rows) == room
        if rows:
            self._cursor = rows[-1].id
        return self._fresh(rows)

    def overlooked(self) -> list[EventMessage]:
        """Return unread rows that no datagram announced, also before the cursor, since ids may commit out of order."""
        fresh = self.fetch()
        return fresh if fresh or self._more else self._fresh(self._unread(0, BACKLOG))

    def wait(self, event: EventMessage) -> None:
        """Keep an event until the actions that run have ended."""
        full = self._more or len(self._waiting) >= BACKLOG
        if event.event_id is None and full and self.keep(event):
            self._more = True
        else:
            self._waiting.append(event)

    def next(self) -> EventMessage | None:
        """Return the next event; None if none waits."""
        while not self._waiting and self._more:
            self._waiting.extend(self.fetch())
        if not self._waiting:
            return None
        return self._waiting.popleft()

    def defer(self, event: EventMessage) -> bool:
        """Keep an event until `recall`; False if there are BACKLOG of them."""
        if len(self.deferred) >= BACKLOG:
            return False
        self.deferred.append(event)
        return True

    def recall(self) -> None:
        """Put the deferred events before all others."""
        self._waiting.extendleft(reversed(self.deferred))
        self.deferred.clear()

    def keep(self, event: EventMessage) -> bool:
        """Store a datagram that has no row, so that it outlives this process; False if that failed."""
        if event.event_id is not None:
            return True
        began_s = time.monotonic()
        try:
            mailbox.post(self._db, self._name, event.type, event.payload, job_id=event.job_id, source=event.source)
        except StorageError as error:
            self._outage.met(error, began_s)
            return False
        return True

    def forget(self, event_ids: Collection[int]) -> None:
        """Do not handle the events of these rows, whether they wait here or still arrive."""
        for event_id in event_ids:
            self._see(event_id)
        self.recall()
        self._waiting = deque(event for event in self._waiting if event.event_id not in event_ids)

    def keep_all(self) -> None:
        """Store all events that wait, since the machine ends."""
        self.recall()
        while self._waiting:
            self.keep(self._waiting.popleft())

    def _is_behind(self, event: EventMessage) -> bool:
        if self._more or len(self._waiting) >= BACKLOG:
            return True
        return event.after is not None and event.after > self._cursor

    def _unread(self, after_id: int, limit: int) -> list[mailbox.MailboxMessage]:
        began_s = time.monotonic()
        try:
            return mailbox.unread(self._db, self._name, limit=limit, after_id=after_id)
        except StorageError as error:
            self._outage.met(error, began_s)
            return []

    def _fresh(self, rows: list[mailbox.MailboxMessage]) -> list[EventMessage]:
        fresh = [event_of(row) for row in rows if not self._has_seen(row.id)]
        for event in fresh:
            if event.event_id is not None:
                self._see(event.event_id)
        return fresh

    def _has_seen(self, event_id: int) -> bool:
        return event_id <= self._all_seen or event_id in self._seen

    def _see(self, event_id: int) -> None:
        self._seen[event_id] = None
        oldest = next(iter(self._seen))
        if len(self._seen) > SEEN and oldest <= self._cursor:
            del self._seen[oldest]
            self._all_seen = max(self._all_seen, oldest)


def event_of(row: mailbox.MailboxMessage) -> EventMessage:
    """Return the event of a mailbox row."""
    payload = {} if row.payload is None else row.payload
    return EventMessage(row.type, payload, row.job_id, row.source, row.created_at, row.id, row.after)
