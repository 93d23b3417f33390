"""A machine's mail: what it has seen, what waits for it in memory, what it still has to fetch from the mailbox."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection
from typing import TYPE_CHECKING

from ...storage import mailbox
from ...storage.errors import StorageError
from ..sockets.messages import EventMessage

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ..metrics.outage import Outage

#: events kept in memory while actions run; more of them wait in the mailbox
BACKLOG = 1000

#: ids of delivered events kept to tell a second delivery
SEEN = 8192


class MailboxReader:
    """Puts datagrams and rows into one order; belongs to the actor's thread.

    A datagram names its row and the row before it for the same machine. Where that one was not seen, a bell was not
    heard: then the rows are fetched, so that the order is the mailbox's.
    """

    def __init__(self, db: Database, name: str, outage: Outage) -> None:
        """`outage` hears of a mailbox that cannot be read or written."""
        self._db = db
        self._name = name
        self._outage = outage
        self._waiting: deque[EventMessage] = deque()
        #: events whose turn it was, and that wait until the state has made up its mind
        self.deferred: deque[EventMessage] = deque()
        self._cursor = 0
        self._seen: dict[int, None] = {}
        #: no id up to this one is kept in `_seen` any more: they all were
        self._all_seen = 0
        #: rows after the cursor wait in the mailbox
        self._more = False

    def __bool__(self) -> bool:
        """Whether events wait, in memory or in the mailbox."""
        return bool(self._waiting or self.deferred) or self._more

    def accept(self, event: EventMessage, *, at_once: bool) -> list[EventMessage]:
        """The events to handle because of a datagram: it alone, none (seen before), or those missed before it too.

        One that must act `at_once` overtakes those that were missed; they are fetched next.
        """
        if event.event_id is None:
            return [event]
        if self._has_seen(event.event_id):
            return []
        behind = self._is_behind(event)
        if behind and not at_once:
            return self.fetch()
        if behind:
            self._more = True
        else:
            self._cursor = max(self._cursor, event.event_id)
        self._see(event.event_id)
        return [event]

    def fetch(self) -> list[EventMessage]:
        """The unread rows after the cursor, as many as there is room for."""
        room = BACKLOG - len(self._waiting)
        if room <= 0:
            self._more = True
            return []
        letters = self._unread(self._cursor, room)
        self._more = len(letters) == room
        if letters:
            self._cursor = letters[-1].id
        return self._fresh(letters)

    def overlooked(self) -> list[EventMessage]:
        """Unread rows that no datagram told of: after the cursor, or (ids may commit out of order) before it."""
        fresh = self.fetch()
        return fresh if fresh or self._more else self._fresh(self._unread(0, BACKLOG))

    def wait(self, event: EventMessage) -> None:
        """Keep an event until the machine has time for it."""
        full = self._more or len(self._waiting) >= BACKLOG
        if event.event_id is None and full and self.keep(event):
            self._more = True
        else:
            self._waiting.append(event)

    def next(self) -> EventMessage | None:
        """The event whose turn it is; None when none waits."""
        while not self._waiting and self._more:
            self._waiting.extend(self.fetch())
        if not self._waiting:
            return None
        return self._waiting.popleft()

    def defer(self, event: EventMessage) -> bool:
        """Keep an event until `recall`; False if too many are kept so."""
        if len(self.deferred) >= BACKLOG:
            return False
        self.deferred.append(event)
        return True

    def recall(self) -> None:
        """It is the turn of what was deferred, before all others."""
        self._waiting.extendleft(reversed(self.deferred))
        self.deferred.clear()

    def keep(self, event: EventMessage) -> bool:
        """Give a datagram that has no row one, so that it outlives this process; False where that failed."""
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
        """Do not handle these rows, whether they wait here or are still to come."""
        for event_id in event_ids:
            self._see(event_id)
        self.recall()
        self._waiting = deque(event for event in self._waiting if event.event_id not in event_ids)

    def keep_all(self) -> None:
        """The machine ends: what waits stays in the mailbox."""
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

    def _fresh(self, letters: list[mailbox.MailboxMessage]) -> list[EventMessage]:
        fresh = [incoming(letter) for letter in letters if not self._has_seen(letter.id)]
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


def incoming(letter: mailbox.MailboxMessage) -> EventMessage:
    """The event that a mailbox row holds."""
    payload = {} if letter.payload is None else letter.payload
    return EventMessage(letter.type, payload, letter.job_id, letter.source, letter.created_at, letter.id, letter.after)
