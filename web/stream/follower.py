"""Tracks which events one client has, and what it is sent next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...storage import audit
from ...storage.errors import StorageError
from ..feed.backlog import Piece, Place, entry_of
from .frames import message

if TYPE_CHECKING:
    from ..monitor import Monitor

#: most rows that a client is sent after a pause; if it missed more, it resynchronises
MOST_BEHIND = 100_000
CHUNK = 500


class Follower:
    """Begins at the present, or after an event that the client has."""

    def __init__(self, monitor: Monitor, since: int | None) -> None:
        self._monitor = monitor
        self._backlog = monitor.feed.backlog
        self._machines: list[dict[str, Any]] = []
        self._error: str | None = None
        self._read_machines()
        self._since = since
        #: where the client is; None while it catches up from the database
        self._place: Place | None = self._now if since is None else None

    @property
    def last_id(self) -> int:
        """The last event that the client has."""
        return self._place.id if self._place else self._since or 0

    def initial(self) -> bytes:
        """Return the first message of a client; every event after its last_id follows."""
        more = {"error": self._error} if self._error else {}
        return message(
            "initial", machines=self._machines, timestamp=self._monitor.now(), last_id=self.last_id,
            read_only=self._monitor.read_only, **more,
        )  # fmt: skip

    def refreshed(self) -> bytes:
        """Return an initial message with the current machines."""
        self._read_machines()
        return self.initial()

    def resume(self, since: int) -> None:
        """Continue after this event instead."""
        self._since, self._place = since, None

    def pieces(self) -> Iterator[Piece | bytes]:
        """Yield the events that are there for the client, or the message that makes it resynchronise."""
        if self._place is None:
            yield from self._caught_up()
        while self._place is not None:
            piece = self._backlog.after(self._place)
            if piece is None:
                yield self._resync()
            elif piece.entries:
                self._place = piece.place
                yield piece
            else:
                return

    def newest(self) -> Piece | None:
        """Return the next piece if memory has all that the client misses, else None."""
        piece = self._backlog.after(self._place) if self._place else None
        return piece if piece is not None and piece.entries else None

    def has(self, piece: Piece) -> None:
        """Record that the client has this piece."""
        self._place = piece.place

    @property
    def is_up_to_date(self) -> bool:
        """True if the client has every event in memory."""
        return self._place == self._backlog.end

    # Helpers

    def _read_machines(self) -> None:
        self._now = self._backlog.end
        try:
            self._now, self._machines = self._monitor.machines.now()
            self._error = None
        except StorageError as error:
            self._machines, self._error = [], str(error)

    def _caught_up(self) -> Iterator[Piece | bytes]:
        """Yield events from the database up to the backlog; nothing while the database cannot be read."""
        try:
            if not self._is_within_reach():
                yield self._resync()
                return
            while (place := self._backlog.place_after(self.last_id)) is None:
                events = audit.since(self._monitor.store.db, self.last_id, CHUNK)
                if not events:
                    break
                self._since = events[-1].id
                yield Piece([entry_of(event) for event in events], Place(0, events[-1].id))
            self._place = place or self._backlog.end
        except StorageError:
            return

    def _is_within_reach(self) -> bool:
        """Return True if all that the client missed still exists, and is not too much."""
        since, db = self.last_id, self._monitor.store.db
        newest = audit.newest_id(db)
        if since > newest:  # the id is from another database
            return False
        if self._backlog.place_after(since) is not None:
            return True
        return audit.oldest_id(db) <= since + 1 and newest - since <= MOST_BEHIND

    def _resync(self) -> bytes:
        self._place = self._backlog.end
        return message("resync", last_id=self._place.id)
