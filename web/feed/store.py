"""The database for requests: opened on first use, and again when another file takes its place."""

from __future__ import annotations

import threading

from ...storage.engine.database import Database


class Store:
    """One open `Database`, shared by all threads."""

    def __init__(self, url: str | None, *, create: bool = True) -> None:
        """`create` makes a missing file, because the page may start before any machine."""
        self.url, self._create = url, create
        self._lock = threading.Lock()
        self._db: Database | None = None
        self._was_open = False

    @property
    def db(self) -> Database:
        """The open database. Raises StoreUnavailable.

        A file that existed and is gone is waited for; no new one is made in its place.
        """
        with self._lock:
            if self._db is None or self._db.has_lost_file() or _became_writable(self._db):
                self._drop()
                self._db = Database.open(self.url, create=self._create and not self._was_open)
                self._was_open = True
            return self._db

    @property
    def barred(self) -> str:
        """The reason why nothing can be written; empty if it can, or if the database is not open."""
        with self._lock:
            return self._db.barred if self._db is not None else ""

    def close(self) -> None:
        """Close the database; idempotent."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


# Helpers


def _became_writable(db: Database) -> bool:
    return bool(db.barred) and db.file is not None and not db.file.why_not_written()
