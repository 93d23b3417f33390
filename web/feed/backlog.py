"""The newest events, encoded once for all clients; a client that is too far behind resynchronises."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ...storage.audit import Event
from ...storage.payload import dumps

#: most events, and most bytes of them, that are kept
MOST, MOST_BYTES = 8192, 8 * 1024 * 1024

#: most events of one piece, and their approximate bytes
PIECE, PIECE_BYTES = 500, 256 * 1024


class Entry(NamedTuple):
    """One encoded event."""

    id: int
    #: its JSON
    text: bytes


class Place(NamedTuple):
    """The position of a reader."""

    #: counts how often the ids started again
    epoch: int
    #: the last event that the reader has
    id: int


class Piece:
    """The events after a place, for all readers at that place."""

    def __init__(self, entries: Sequence[Entry], place: Place) -> None:
        self.entries = entries
        #: the place of a reader that has the piece
        self.place = place
        self._encoded: dict[object, bytes] = {}

    def encoded(self, encode: Callable[[Sequence[Entry]], bytes]) -> bytes:
        """Return the events as `encode` makes them; the first caller does the work."""
        found = self._encoded.get(encode)
        if found is None:
            found = self._encoded[encode] = encode(self.entries)
        return found


class Backlog:
    """All events after `floor`, in the order of their ids; one thread writes, many read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._epoch = 0
        self._floor = 0
        self._entries: list[Entry] = []
        self._bytes = 0
        self._last_piece: tuple[Place, Piece] | None = None

    @property
    def end(self) -> Place:
        """The place after the newest event."""
        with self._lock:
            return self._end()

    def begin(self, after_id: int) -> None:
        """Forget everything; the next event follows this id."""
        with self._lock:
            self._epoch += 1
            self._floor, self._entries, self._bytes, self._last_piece = after_id, [], 0, None

    def add(self, entries: Sequence[Entry]) -> None:
        """Append events."""
        with self._lock:
            self._entries += entries
            self._bytes += sum(len(entry.text) for entry in entries)
            self._last_piece = None
            if len(self._entries) > MOST or self._bytes > MOST_BYTES:
                self._shorten()

    def place_after(self, event_id: int) -> Place | None:
        """Return the place of a reader that has all events up to this one; None if later ones are missing."""
        with self._lock:
            return Place(self._epoch, event_id) if event_id >= self._floor else None

    def after(self, place: Place) -> Piece | None:
        """Return the next piece after a place; None if events after it are missing."""
        with self._lock:
            if place.epoch != self._epoch or place.id < self._floor:
                return None
            if self._last_piece is not None and self._last_piece[0] == place:
                return self._last_piece[1]  # most readers are at the same place
            piece = self._piece(place)
            self._last_piece = (place, piece)
            return piece

    # Helpers

    def _end(self) -> Place:
        return Place(self._epoch, self._entries[-1].id if self._entries else self._floor)

    def _piece(self, place: Place) -> Piece:
        start = bisect_right(self._entries, place.id, key=_id)
        entries: list[Entry] = []
        size = 0
        for entry in self._entries[start : start + PIECE]:
            entries.append(entry)
            size += len(entry.text)
            if size > PIECE_BYTES:
                break
        return Piece(entries, Place(self._epoch, entries[-1].id) if entries else place)

    def _shorten(self) -> None:
        """Drop half of the events at a time; the newest one stays."""
        count, size = 0, self._bytes
        last = len(self._entries) - 1
        while count < last and (len(self._entries) - count > MOST // 2 or size > MOST_BYTES // 2):
            size -= len(self._entries[count].text)
            count += 1
        self._floor = self._entries[count - 1].id if count else self._floor
        del self._entries[:count]
        self._bytes = size


def entry_of(event: Event) -> Entry:
    """Return an event, encoded."""
    return Entry(event.id, dumps(event.envelope()).encode())


def _id(entry: Entry) -> int:
    return entry.id
