"""Reads the audit log as it grows: every event once, in order, whatever goes away and comes back meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from ...storage import audit
from ...storage.engine.database import Database
from ...storage.errors import StorageError, StoreTooNew

if TYPE_CHECKING:
    from ...storage.audit import Event
    from .event_socket import EventSocket

BATCH = 500

#: seconds between two looks while no bell rings: one cheap question to the database each, so that it costs no CPU
LOOK_S = 0.25

#: seconds until a database that is away is tried again
RECONNECT_S = 0.5

_GONE = (-1, -1)


class AuditTail:
    """Events after an id, of some machines and types or of all; for one thread.

    The database is the source, since ids commit in order there; the bell only says when to look. When the ids begin
    anew, because the log was emptied or its file replaced, it goes on by time.
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
        """Begin after the id `after`, else with what is at most `last_s` seconds old by now."""
        self.after = after
        self._url, self._machines, self._types = url, machines, types
        self._begins_s = time.monotonic() - last_s
        self._seen_s = 0.0
        self._db: Database | None = None
        self._file: tuple[int, int] | None = None
        self._token: object = None

    def rest(self) -> Iterator[Event]:
        """What there is now. StorageError."""
        while events := self.look():
            yield from events
            if len(events) < BATCH:
                return

    def follow(self, bell: EventSocket, *, until_s: float, trouble: Callable[[str | None], None]) -> Iterator[Event]:
        """Events as they come, until `until_s` (monotonic) or until the bell is stopped.

        `trouble` hears after each look what keeps the database from being read, None if nothing does. StoreTooNew:
        waiting would not help.
        """
        for events in self.batches(bell, until_s=until_s, trouble=trouble):
            yield from events

    def batches(
        self, bell: EventSocket, *, until_s: float, trouble: Callable[[str | None], None]
    ) -> Iterator[list[Event]]:
        """As `follow`, what one look found at a time; empty where nothing was new."""
        while not bell.stopped:
            events, pause_s = self._tried(trouble)
            yield events
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return
            if len(events) < BATCH:
                bell.wait(min(pause_s, left_s))

    def _tried(self, trouble: Callable[[str | None], None]) -> tuple[list[Event], float]:
        """A look that may fail, and the time until the next one."""
        try:
            events = self.look()
        except StoreTooNew:
            raise
        except StorageError as error:
            self.close()
            trouble(str(error))
            return [], RECONNECT_S
        trouble(None)
        return events, LOOK_S

    def look(self) -> list[Event]:
        """What is new, BATCH at most; often nothing, and then for the price of one question. StorageError."""
        db = self._db or self._open()
        token = db.change_token()
        events = self._read(db) if token != self._token else []
        if len(events) < BATCH:  # everything in this file has been read
            self._token = token
            self._follow_file(db)
        return events

    def close(self) -> None:
        """Let go of the database; the place in it is kept."""
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
        """Let go of one that the path names no more, even if somebody still writes to it."""
        file = _identity(db)
        if file != self._file:
            self.close()
            self._file = self._file if file else _GONE  # the next one may get the same inode

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
            self.after = max(self.after or 0, newest)  # what the filters left out need not be looked through again
        return events


def _identity(db: Database) -> tuple[int, int] | None:
    """Which file it is that a path names; None on a server, and where there is none any more."""
    try:
        stat = db.path.stat() if db.path is not None else None
    except OSError:
        return None
    return (stat.st_dev, stat.st_ino) if stat else None
