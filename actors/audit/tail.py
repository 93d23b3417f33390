"""Follow the audit log: each event once and in order, also across outages and replaced database files."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from ...storage import audit
from ...storage.engine.database import Database
from ...storage.engine.sqlite_file import file_id
from ...storage.errors import StorageError, StoreTooNew

if TYPE_CHECKING:
    from ...storage.audit import Event
    from .event_socket import EventSocket

BATCH = 500

#: seconds between two looks without a datagram; each is one cheap query
LOOK_S = 0.25

#: seconds until an unavailable database is tried again
RECONNECT_S = 0.5

_GONE = (-1, -1)


class AuditTail:
    """Events after an id, of some machines and types or of all; for one thread.

    The events are read from the database, where ids commit in order; the event socket only says when to look. If the
    ids start again, because the log was emptied or its file replaced, reading goes on by time.
    """

    def __init__(
        self,
        url: str | None,
        *,
        after: int | None = None,
        last_s: float = 0.0,
        machines: Sequence[str] | None = None,
        types: Sequence[str] | None = None,
    ) -> None:
        """Begin after the id `after`; without it, with events that are at most `last_s` seconds old."""
        self.after = after
        self._url, self._machines, self._types = url, machines, types
        self._begins_s = time.monotonic() - last_s
        self._seen_s = 0.0
        self._db: Database | None = None
        self._file: tuple[int, int] | None = None
        self._token: object = None

    def rest(self) -> Iterator[Event]:
        """Yield the events that exist now. StorageError."""
        while events := self.look():
            yield from events
            if len(events) < BATCH:
                return

    def follow(
        self, event_socket: EventSocket, *, until_s: float, on_outage: Callable[[str | None], None]
    ) -> Iterator[list[Event]]:
        """Yield the events of one look after the other, until `until_s` (monotonic) or the event socket is stopped.

        The list is empty if nothing was new. `on_outage` is called after each look with the reason why the database
        cannot be read, None if it can. Raises StoreTooNew, since waiting would not help.
        """
        while not event_socket.stopped:
            events, problem = self._tried()
            on_outage(problem)
            yield events
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return
            if len(events) < BATCH:
                event_socket.wait(min(LOOK_S if problem is None else RECONNECT_S, left_s))

    def _tried(self) -> tuple[list[Event], str | None]:
        """Look once; return the events, and the reason why the database cannot be read."""
        try:
            return self.look(), None
        except StoreTooNew:
            raise
        except StorageError as error:
            self.close()
            return [], str(error)

    def look(self) -> list[Event]:
        """Return at most BATCH new events; one query tells when nothing was written. StorageError."""
        db = self._db or self._open()
        token = db.change_token()
        events = self._read(db) if token != self._token else []
        if len(events) < BATCH:  # everything in this file has been read
            self._token = token
            self._follow_file(db)
        return events

    def close(self) -> None:
        """Close the database; the position is kept."""
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _open(self) -> Database:
        db = Database.open(self._url, create=False)
        try:
            file = _identity(db)
            if self.after is None:
                self._begin(db)
            elif self._file not in (None, file):
                self._go_on_by_time(db)
        except BaseException:
            db.close()
            raise
        self._db, self._file, self._token = db, file, None
        return db

    def _follow_file(self, db: Database) -> None:
        """Close a database whose path names another file, even if somebody still writes to it."""
        file = _identity(db)
        if file != self._file:
            self.close()
            self._file = self._file if file else _GONE  # the next file may get the same inode

    def _begin(self, db: Database) -> None:
        self._seen_s = db.now() - (time.monotonic() - self._begins_s)
        self.after = audit.last_before(db, self._seen_s)

    def _go_on_by_time(self, db: Database) -> None:
        self.after = audit.last_before(db, self._seen_s + 0.001)

    def _read(self, db: Database) -> list[Event]:
        newest = audit.newest_id(db)
        if newest < (self.after or 0):
            self._go_on_by_time(db)
        events = audit.since(db, self.after or 0, BATCH, self._machines, self._types)
        if events:
            self.after, self._seen_s = events[-1].id, events[-1].timestamp
        if len(events) < BATCH:
            self.after = max(self.after or 0, newest)  # skip next time what the filters left out
        return events


def _identity(db: Database) -> tuple[int, int] | None:
    """Return the identity of the database's file; None for a server, and for a file that is gone."""
    with contextlib.suppress(OSError):
        return None if db.path is None else file_id(db.path)
    return None
