"""The store behind one URL: opened once, brought up to date, shared by every thread."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Self

from ..clock import Clock, system_clock
from ..errors import DatabaseMissing, NotOurs, StorageError
from . import migrations
from .connections import Connections
from .postgres import PostgresDialect, PostgresListener
from .sqlite import SqliteDialect
from .sqlite_file import SqliteFile

DEFAULT_URL = "sqlite:///data/pipeline.db"
URL_VARIABLE = "STATEMACHINE_DB"


def is_named(given: str | Path | None) -> bool:
    """Whether somebody said which database it is to be, here or in $STATEMACHINE_DB."""
    return bool(given or os.environ.get(URL_VARIABLE))


def resolve_url(given: str | Path | None) -> str:
    """The URL to open: the given one, else $STATEMACHINE_DB, else data/pipeline.db; a bare path means SQLite."""
    text = str(given) if given else os.environ.get(URL_VARIABLE) or DEFAULT_URL
    if text == ":memory:" or "://" not in text:
        return f"sqlite:///{text if text == ':memory:' else Path(text).expanduser()}"
    if text.startswith("sqlite:") and (path := text.removeprefix("sqlite:///")).startswith("~"):
        return f"sqlite:///{Path(path).expanduser()}"
    return text


class Database(Connections):
    """One store, on SQLite or PostgreSQL; `Database.open()` is the way in."""

    def __init__(self, url: str | Path | None = None, *, clock: Clock = system_clock, durable: bool = False) -> None:
        """`durable`: a commit reaches the disk before it returns (SQLite; PostgreSQL always does so)."""
        super().__init__(resolve_url(url), clock=clock, durable=durable)
        self._listener: PostgresListener | None = None
        self._following = threading.Lock()

    @classmethod
    def open(
        cls, url: str | Path | None = None, *, clock: Clock = system_clock, durable: bool = False, create: bool = True
    ) -> Self:
        """Connect, and bring the schema up to date; the file and its folder are made unless `create` is False.

        A file that we may only read is opened for that, and each write is refused with ReadOnlyStore. DatabaseMissing.
        StoreUnavailable: unreachable, unreadable, or no database. StoreTooNew.
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
        return self.dialect.file if isinstance(self.dialect, SqliteDialect) else None

    @property
    def generation(self) -> int:
        """Grows when another file takes the place of the one that was open: ids of the old one mean nothing there."""
        return self.dialect.generation if isinstance(self.dialect, SqliteDialect) else 0

    def follow_file(self) -> bool:
        """SQLite: whether the file was deleted (it is made anew) or replaced; from here on the new one is used.

        What was written into the old one since it went is gone with it. To be asked now and then, by any thread.
        StorageError: there is none, and none can be made; nobody reads or writes until this finds one.
        """
        file = self.file
        if file is None:
            return False
        with self._following:
            if not file.has_moved():
                self._away = None
                return False
            try:
                file.make_way()
                self._go_over(file)
            except (OSError, StorageError) as error:
                self._away = error if isinstance(error, StorageError) else self._unavailable(error)
                raise self._away from None
            return True

    def wait_notification(self, timeout_s: float) -> list[str]:
        """Payloads notified to this store, waiting up to `timeout_s` for the first; for one thread.

        On SQLite none ever come: it waits its time out, or until close().
        """
        if not isinstance(self.dialect, PostgresDialect):
            self._closed.wait(timeout_s)
            return []
        try:
            with self._watcher_lock:
                if self._closed.is_set():
                    return []
                self._listener = self._listener or self.dialect.listen()
            return self._listener.wait(timeout_s)
        except self.dialect.errors as error:
            self._drop_listener()
            raise self._unavailable(error) from error

    def close(self) -> None:
        """Close every connection; safe to call twice."""
        self._closed.set()
        self._drop_listener()
        super().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Helpers

    def _go_over(self, file: SqliteFile) -> None:
        """Use the file that is there now; its tables are made by connections of their own, before anybody meets it."""
        assert isinstance(self.dialect, SqliteDialect)
        with Database.open(self.url, clock=self.clock):
            file.remember()
            self.dialect.generation += 1
            self._drop_watcher()
            self._readers.close_idle()
            self._writers.close_idle()
            self._away = None
            self.change_token()  # opens it, so that its number stays its own

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
            raise self._unavailable(error) from error

    def _drop_listener(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
