"""The database as requests see it: opened when first asked for, and again when another file takes its place."""

from __future__ import annotations

import threading

from ...storage.engine.database import Database


class Store:
    """One open `Database` at a time, shared by all threads."""

    def __init__(self, url: str | None, *, create: bool = True) -> None:
        """`create`: it is made where there is none yet, since the page may be there before the machines."""
        self.url, self._create = url, create
        self._lock = threading.Lock()
        self._db: Database | None = None
        self._was_open = False

    @property
    def db(self) -> Database:
        """The open database; StoreUnavailable.

        One that was there and is gone will come back, and nothing must stand in its place.
        """
        with self._lock:
            if self._db is None or self._db.has_lost_file() or _may_be_written_by_now(self._db):
                self._drop()
                self._db = Database.open(self.url, create=self._create and not self._was_open)
                self._was_open = True
            return self._db

    @property
    def barred(self) -> str:
        """Why nothing can be written; empty if it can, or if nobody knows yet. Opens nothing."""
        with self._lock:
            return self._db.barred if self._db is not None else ""

    def close(self) -> None:
        """Close it; idempotent."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


# Helpers


def _may_be_written_by_now(db: Database) -> bool:
    return bool(db.barred) and db.file is not None and not db.file.why_not_written()
