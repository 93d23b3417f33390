"""Connections to one database, shared by every thread; each operation is one transaction."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol
from urllib.parse import urlsplit

from ..clock import Clock, system_clock
from ..errors import CommitInDoubt, ReadOnlyStore, StorageError, StoreDamaged, StoreUnavailable, ValueRefused
from .dialect import Dialect
from .pool import Pool
from .postgres import PostgresDialect
from .sqlite import SqliteDialect, sqlite_path


class Cursor(Protocol):
    """What both drivers' cursors offer."""

    rowcount: int

    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


class Connections:
    """Transactions and statements; thread-safe."""

    def __init__(self, url: str, *, clock: Clock, durable: bool) -> None:
        """`durable`: a commit reaches the disk before it returns (SQLite; PostgreSQL always does so)."""
        self.url = url
        self.clock = clock
        self.dialect: Dialect = _dialect_of(url, durable=durable)
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
        self._closed = threading.Event()

    @property
    def barred(self) -> str:
        """Why nothing can be written; empty if it can."""
        return self.dialect.barred

    def now(self) -> float:
        """Epoch seconds of the store: the clock's, on PostgreSQL corrected to the server's."""
        return self.clock.now() + self._skew_s

    def agree_on_time(self) -> None:
        """From here on `now()` is the server's time, whatever this host's clock shows; once more when that was set."""
        if self.is_postgres and self.clock is system_clock:
            with self.read() as connection:
                try:
                    self._skew_s = self.dialect.clock_skew(connection, self.clock.now())
                except self.dialect.errors as error:
                    raise self._unavailable(error) from error

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
        try:
            return self._current().execute(self.dialect.sql(sql), params)  # type: ignore[no-any-return]
        except self.dialect.errors as error:
            raise self._unavailable(error) from error

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run one statement once per row, inside write(); how many rows were changed."""
        try:
            return self.dialect.executemany(self._current(), self.dialect.sql(sql), rows)
        except self.dialect.errors as error:
            raise self._unavailable(error) from error

    def notify(self, payload: str) -> None:
        """PostgreSQL: send to every listener of this store at commit; SQLite: nothing."""
        if self.is_postgres:
            with self.write() as connection:
                try:
                    self.dialect.notify(connection, payload)
                except self.dialect.errors as error:
                    raise self._unavailable(error) from error

    def lock(self, name: str) -> None:
        """Inside write(): wait for other transactions that hold this name, keep it until the end."""
        try:
            self.dialect.lock(self._current(), name)
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
            if self._watcher is not None and self.dialect.is_stale(self._watcher):
                self._watcher.close()
                self._watcher = None
            self._watcher = self._watcher or self._connect_reader()
            return self._token(self._watcher)

    def close(self) -> None:
        """Close every connection; safe to call twice."""
        self._closed.set()
        self._drop_watcher()
        self._readers.close()
        self._writers.close()

    @property
    def closed(self) -> bool:
        """Whether it was closed or abandoned."""
        return self._closed.is_set()

    def abandon(self) -> None:
        """Close, though the server be silent: whoever waits for its answer gets StoreUnavailable instead."""
        self.close()
        for connection in {*self._readers.out(), *self._writers.out()}:
            self.dialect.cut_off(connection)

    def __str__(self) -> str:
        """The URL for people: without a password."""
        password = urlsplit(self.url).password if self.is_postgres else None
        return self.url.replace(f":{password}@", ":***@") if password else str(self.path or self.url)

    # Helpers

    def _drop_watcher(self) -> None:
        with self._watcher_lock:
            if self._watcher is not None:
                self._watcher.close()
                self._watcher = None

    def _connect(self) -> Any:
        if self.barred:
            remedy = "let its owner do this, or give us the right to write the file and its folder"
            raise ReadOnlyStore(f"{self} can only be read, and nothing was changed: {self.barred}; {remedy}")
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
        """Take a connection from the pool; replace one whose server has left while it lay idle."""
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
            kept = self.dialect.commit(connection)
        except self.dialect.errors as error:
            said = self._unavailable(error)
            raise (CommitInDoubt(str(said)) if self.dialect.is_broken(connection) else said) from error
        if not kept:
            raise StoreUnavailable(f"{self}: nothing was written, since a statement of the transaction had failed")

    def _roll_back(self, connection: Any) -> None:
        with suppress(*self.dialect.errors):  # with its connection the transaction is gone as well
            if self.dialect.in_transaction(connection):
                connection.execute("ROLLBACK")

    def _current(self) -> Any:
        connection = self._local.connection
        if connection is None:
            raise StorageError("this needs a surrounding write() or read()")
        return connection

    def _give_back(self, pool: Pool, connection: Any) -> None:
        if self.dialect.is_broken(connection):
            pool.discard(connection)
        else:
            pool.give(connection)

    def _unavailable(self, error: Exception) -> StorageError:
        if isinstance(error, self.dialect.refusals):
            too_large = isinstance(error, OverflowError)
            return ValueRefused(f"{self}: {'a number is too large for it' if too_large else str(error).strip()}")
        problem_kind, remedy = self.dialect.diagnosis(error)
        kind = StoreDamaged if problem_kind == "database_damaged" else StoreUnavailable
        said = kind("; ".join(filter(None, (f"{self}: {str(error).strip()}", remedy))))
        said.problem_kind = problem_kind
        return said


class _Local(threading.local):
    """What this thread is in the middle of."""

    connection: Any = None
    writing: bool = False


def _dialect_of(url: str, *, durable: bool = False) -> SqliteDialect | PostgresDialect:
    """The dialect of a resolved URL. StoreUnavailable for a scheme that is neither."""
    scheme = urlsplit(url).scheme
    if scheme in ("postgresql", "postgres"):
        return PostgresDialect(url)
    if scheme == "sqlite":
        return SqliteDialect(sqlite_path(url), durable=durable)
    raise StoreUnavailable(f"{url}: the store is sqlite:///PATH or postgresql://…, not {scheme or 'this'}")
