"""The store behind one URL: opened once, brought up to date, shared by all threads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from ..clock import Clock, system_clock
from ..errors import DatabaseMissing, NotOurs
from . import migrations
from .connections import Connections
from .postgres import PostgresDialect, PostgresListener
from .sqlite_file import SqliteFile

DEFAULT_URL = "sqlite:///data/pipeline.db"
URL_VARIABLE = "STATEMACHINE_DB"


def is_named(given: str | Path | None) -> bool:
    """Return True if a database is named, by `given` or by $STATEMACHINE_DB."""
    return bool(given or os.environ.get(URL_VARIABLE))


def resolve_url(given: str | Path | None) -> str:
    """Return the URL to open: `given`, else $STATEMACHINE_DB, else data/pipeline.db. A bare path means SQLite."""
    text = str(given) if given else os.environ.get(URL_VARIABLE) or DEFAULT_URL
    if text == ":memory:" or "://" not in text:
        return f"sqlite:///{text if text == ':memory:' else Path(text).expanduser()}"
    if text.startswith("sqlite:") and (path := text.removeprefix("sqlite:///")).startswith("~"):
        return f"sqlite:///{Path(path).expanduser()}"
    return text


class Database(Connections):
    """One store, on SQLite or PostgreSQL. Use `Database.open()`; the constructor connects to nothing."""

    def __init__(self, url: str | Path | None = None, *, clock: Clock = system_clock, durable: bool = False) -> None:
        super().__init__(resolve_url(url), clock=clock, durable=durable)
        self._listener: PostgresListener | None = None

    @classmethod
    def open(
        cls, url: str | Path | None = None, *, clock: Clock = system_clock, durable: bool = False, create: bool = True
    ) -> Self:
        """Connect, and bring the schema up to date; create the file and its folder unless `create` is False.

        A file that we may only read is opened for reading, and each write raises ReadOnlyStore. DatabaseMissing.
        StoreUnavailable: unreachable, unreadable, or no database. StoreTooNew. `durable`: see Connections.
        """
        db = cls(url, clock=clock, durable=durable)
        try:
            db._find_file(create)
            migrations.bring_up_to_date(db, create=create)
            if db.file is not None:
                db.file.remember()
            db.agree_on_time()
        except BaseException:
            db.close()
            raise
        return db

    @property
    def file(self) -> SqliteFile | None:
        """The database's file; None in memory and on a server."""
        return self.dialect.file

    def has_lost_file(self) -> bool:
        """Return True if the SQLite file was deleted, or another one stands in its place.

        Anything written into this database from then on is lost, so close it. False while nobody can tell.
        """
        return self.file is not None and self.file.is_lost()

    def wait_notification(self, timeout_s: float) -> list[str]:
        """Return the payloads sent to this store, waiting up to `timeout_s` for the first; for one thread only.

        On SQLite there are none: it waits until the time is over or the database is closed.
        """
        if not isinstance(self.dialect, PostgresDialect):
            self._closed.wait(timeout_s)
            return []
        try:
            with self._watcher_lock:
                if self.closed:
                    return []
                self._listener = self._listener or self.dialect.listen()
            return self._listener.wait(timeout_s)
        except self.dialect.errors as error:
            self._drop_listener()
            raise self._storage_error(error) from error

    def close(self) -> None:
        """Close every connection; idempotent."""
        self._closed.set()
        self._drop_listener()
        super().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Helpers

    def _find_file(self, create: bool) -> None:
        if self.file is None:
            return
        try:
            self.file.check_owner()
            if create:
                self.file.make()
            elif not self.file.path.is_file():
                raise DatabaseMissing(self.file.missing())
            self.dialect.barred = self.file.why_not_written()
        except NotOurs:
            raise
        except OSError as error:
            raise self._storage_error(error) from error

    def _drop_listener(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
