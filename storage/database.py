"""The store behind one URL: opened once, shared by every thread, each operation one transaction."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from .clock import Clock, system_clock
from .dialect import Dialect, PostgresDialect, PostgresListener, SqliteDialect, dialect_for
from .errors import StorageError, StoreUnavailable, ValueRefused
from .pool import Pool

DEFAULT_URL = "sqlite:///data/pipeline.db"
URL_VARIABLE = "STATEMACHINE_DB"


class Cursor(Protocol):
    """What both drivers' cursors offer."""

    rowcount: int

    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


def resolve_url(given: str | Path | None) -> str:
    """The URL to open: the given one, else $STATEMACHINE_DB, else data/pipeline.db; a bare path means SQLite."""
    text = str(given) if given else os.environ.get(URL_VARIABLE) or DEFAULT_URL
    if text == ":memory:" or "://" not in text:
        return f"sqlite:///{text if text == ':memory:' else Path(text).expanduser()}"
    if text.startswith("sqlite:") and (path := text.removeprefix("sqlite:///")).startswith("~"):
        return f"sqlite:///{Path(path).expanduser()}"
    return text


class Database:
    """Connections, transactions and statements; thread-safe. `Database.open()` is the way in."""

    def __init__(self, url: str | Path | None = None, *, clock: Clock = system_clock, durable: bool = False) -> None:
        """`durable`: a commit reaches the disk before it returns (SQLite; PostgreSQL always does so)."""
        self.url = resolve_url(url)
        self.clock = clock
        self.dialect: Dialect = dialect_for(self.url, durable=durable)
        self.is_postgres = self.dialect.is_postgres
        self.path = self.dialect.path if isinstance(self.dialect, SqliteDialect) else None
        self._skew_s = 0.0
        self._readers = Pool(self._connect_reader, self.dialect.connections)
        self._writers = self._readers
        if self.path is not None:  # one writer: a second would only wait inside SQLite, where waiting is polling
            self._writers = Pool(self._connect, 1)
        elif not self.is_postgres:  # memory lives in its one connection
            self._readers = self._writers = Pool(self._connect, 1)
        self._local = _Local()
        self._watcher: Any = None
        self._watcher_lock = threading.Lock()
        self._listener: PostgresListener | None = None
        self._closed = threading.Event()

    @classmethod
    def open(
        cls, url: str | Path | None = None, *, clock: Clock = system_clock, durable: bool = False, create: bool = True
    ) -> Database:
        """Connect, and bring the schema up to date; the file and its folder are made unless `create` is False.

        StoreUnavailable: unreachable, unreadable, no database, or missing and not to be created. StoreTooNew.
        """
        from . import migrations  # migrations import this module's class for its type

        db = cls(url, clock=clock, durable=durable)
        try:
            db._make_file(create)
            migrations.bring_up_to_date(db, create=create)
            if db.is_postgres and clock is system_clock:
                with db.read() as connection:
                    db._skew_s = db.dialect.clock_skew(connection, clock.now())
        except BaseException:
            db.close()
            raise
        return db

    def now(self) -> float:
        """Epoch seconds of the store: the clock's, on PostgreSQL corrected to the server's."""
        return self.clock.now() + self._skew_s

    @contextmanager
    def write(self) -> Iterator[Any]:
        """One transaction: committed at the end, rolled back if an exception leaves; inside another it joins that."""
        local = self._local
        outer = local.connection
        if local.writing:
            yield outer
            return
        borrowed = outer is not None and self._writers is self._readers
        connection = local.connection = outer if borrowed else self._take(self._writers)
        local.writing = True
        try:
            self._begin(connection)
            yield connection
            self._commit(connection)
        except BaseException:
            self._roll_back(connection)
            raise
        finally:
            local.writing = False
            local.connection = outer
            if not borrowed:
                self._give_back(self._writers, connection)

    @contextmanager
    def read(self) -> Iterator[Any]:
        """A connection for reading; inside write() it is that transaction's, so it sees what was just written."""
        if self._local.connection is not None:
            yield self._local.connection
            return
        connection = self._local.connection = self._take(self._readers)
        try:
            yield connection
        finally:
            self._local.connection = None
            self._give_back(self._readers, connection)

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Cursor:
        """Run one statement inside write() or read(); placeholders are `?`. StoreUnavailable for any driver error."""
        connection = self._local.connection
        if connection is None:
            raise StorageError("execute() needs a surrounding write() or read()")
        try:
            return connection.execute(self.dialect.sql(sql), params)  # type: ignore[no-any-return]
        except self.dialect.errors as error:
            raise self._unavailable(error) from error

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement once per row, inside write()."""
        try:
            self.dialect.executemany(self._local.connection, self.dialect.sql(sql), rows)
        except self.dialect.errors as error:
            raise self._unavailable(error) from error

    def lock(self, name: str) -> None:
        """Inside write(): wait for other transactions that hold this name, keep it until the end."""
        try:
            self.dialect.lock(self._local.connection, name)
        except self.dialect.errors as error:
            raise self._unavailable(error) from error

    def tables(self) -> set[str]:
        """Names of the tables that exist."""
        with self.read() as connection:
            try:
                return self.dialect.tables(connection)
            except self.dialect.errors as error:
                raise self._unavailable(error) from error

    def change_token(self) -> object:
        """Differs from the last one if anybody has committed since: a cheap look before a costlier one."""
        if self.path is None:
            with self.read() as connection:
                return self._token(connection)
        with self._watcher_lock:
            if self._closed.is_set():
                raise StoreUnavailable(f"{self}: closed")
            self._watcher = self._watcher or self._connect_reader()
            return self._token(self._watcher)

    def notify(self, payload: str) -> None:
        """PostgreSQL: send to every listener of this store at commit; SQLite: nothing."""
        if not self.is_postgres:
            return
        with self.write() as connection:
            self.dialect.notify(connection, payload)

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
        with self._watcher_lock:
            if self._watcher is not None:
                self._watcher.close()
                self._watcher = None
        self._readers.close()
        self._writers.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __str__(self) -> str:
        """The URL for people: without a password."""
        password = urlsplit(self.url).password if self.is_postgres else None
        return self.url.replace(f":{password}@", ":***@") if password else str(self.path or self.url)

    # Helpers

    def _make_file(self, create: bool) -> None:
        if not isinstance(self.dialect, SqliteDialect) or self.path is None:
            return
        try:
            if create:
                self.dialect.make_file()
            elif not self.path.exists():
                raise StoreUnavailable(f"{self}: no such database")
        except OSError as error:
            raise self._unavailable(error) from error

    def _connect(self) -> Any:
        try:
            return self.dialect.connect()
        except self.dialect.errors as error:
            raise self._unavailable(error) from error

    def _connect_reader(self) -> Any:
        try:
            return self.dialect.connect(read_only=True)
        except self.dialect.errors as error:
            raise self._unavailable(error) from error

    def _token(self, connection: Any) -> object:
        try:
            return self.dialect.change_token(connection)
        except self.dialect.errors as error:
            raise self._unavailable(error) from error

    def _take(self, pool: Pool) -> Any:
        """A connection; one that its server has left while it lay idle is replaced."""
        while self.dialect.is_stale(connection := pool.take()):
            pool.discard(connection)
        return connection

    def _begin(self, connection: Any) -> None:
        try:
            self.dialect.begin(connection)
        except self.dialect.errors as error:
            raise self._unavailable(error) from error

    def _commit(self, connection: Any) -> None:
        try:
            connection.execute("COMMIT")
        except self.dialect.errors as error:
            raise self._unavailable(error) from error

    def _roll_back(self, connection: Any) -> None:
        if not self.dialect.is_broken(connection) and self.dialect.in_transaction(connection):
            connection.execute("ROLLBACK")

    def _give_back(self, pool: Pool, connection: Any) -> None:
        if self.dialect.is_broken(connection):
            pool.discard(connection)
        else:
            pool.give(connection)

    def _drop_listener(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    def _unavailable(self, error: Exception) -> StorageError:
        kind = ValueRefused if isinstance(error, self.dialect.refusals) else StoreUnavailable
        return kind(f"{self}: {str(error).strip()}")


class _Local(threading.local):
    """What this thread is in the middle of."""

    connection: Any = None
    writing: bool = False
