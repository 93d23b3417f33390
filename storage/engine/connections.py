"""Connections to one database, shared by all threads; each operation is one transaction."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol
from urllib.parse import urlsplit

from ..clock import Clock, system_clock
from ..errors import CommitInDoubt, ReadOnlyStore, StorageError, StoreDamaged, StoreUnavailable, ValueRefused
from .pool import Pool
from .postgres import PostgresDialect, percent_placeholders
from .sqlite import SqliteDialect, sqlite_path

#: seconds; a smaller difference between two clocks is taken for the network's delay
LEAST_SKEW_S = 0.5


class Cursor(Protocol):
    """The common part of both drivers' cursors."""

    rowcount: int

    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


class Connections:
    """Transactions and statements. All methods are thread-safe and raise StorageError for the driver's errors."""

    def __init__(self, url: str, *, clock: Clock, durable: bool) -> None:
        """Connect to nothing yet. With `durable`, a commit on SQLite is on disk when it returns, as on PostgreSQL."""
        self.url = url
        self.clock = clock
        self.dialect = _dialect_of(url, durable=durable)
        self.is_postgres = self.dialect.is_postgres
        self.path = self.dialect.path
        self._skew_s = 0.0
        self._readers = Pool(lambda: self._connect(read_only=True), self.dialect.connections)
        self._writers = self._readers
        if self.path is not None:  # one writer: a second would only wait inside SQLite, where waiting is polling
            self._writers = Pool(self._connect, 1)
        elif not self.is_postgres:  # a database in memory lives in its one connection
            self._readers = self._writers = Pool(self._connect, 1)
        self._local = _Local()
        self._watcher: Any = None
        self._watcher_lock = threading.Lock()
        self._closed = threading.Event()

    @property
    def barred(self) -> str:
        """The reason why nothing can be written; empty if it can."""
        return self.dialect.barred

    @property
    def closed(self) -> bool:
        """True once it was closed or abandoned."""
        return self._closed.is_set()

    def now(self) -> float:
        """Return the store's time in epoch seconds: the clock's, on PostgreSQL corrected to the server's."""
        return self.clock.now() + self._skew_s

    def agree_on_time(self) -> None:
        """Let `now()` follow the PostgreSQL server's clock. Call it again after this host's clock was set."""
        if self.is_postgres and self.clock is system_clock:
            with self.read():  # leases are compared across hosts
                server_s = self.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()[0]
            skew_s = server_s - self.clock.now()
            self._skew_s = skew_s if abs(skew_s) > LEAST_SKEW_S else 0.0

    @contextmanager
    def write(self) -> Iterator[Any]:
        """Run the block in a transaction: commit at its end, roll back if an exception leaves it.

        Inside another `write()` it is part of that transaction. CommitInDoubt if the answer to the commit was lost.
        """
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
        """Lend a connection for reading; inside `write()` that transaction's, so that its own changes are seen."""
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
        """Run one statement inside `write()` or `read()`; its placeholders are `?`."""
        connection = self._current()
        try:
            return connection.execute(percent_placeholders(sql) if self.is_postgres else sql, params)  # type: ignore[no-any-return]
        except self.dialect.errors as error:
            raise self._storage_error(error) from error

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run one statement once for each row, inside `write()`. Return the number of rows that were changed."""
        with self._storage_errors():
            cursor = self._current().cursor()
            cursor.executemany(percent_placeholders(sql) if self.is_postgres else sql, rows)
            return int(cursor.rowcount)

    def notify(self, payload: str) -> None:
        """Send a notification to all listeners of this store at commit. Does nothing on SQLite."""
        if self.is_postgres:
            with self.write():
                self.execute("SELECT pg_notify('statemachine_' || current_schema(), ?)", (payload,))

    def lock(self, name: str) -> None:
        """Inside `write()`, wait until no other transaction holds this name, and hold it until the end.

        Does nothing on SQLite, where there is only one writer.
        """
        if self.is_postgres:
            self.execute("SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ?, 0))", (name,))

    def tables(self) -> set[str]:
        """Return the names of the tables that exist."""
        with self.read():
            return {row[0] for row in self.execute(self.dialect.tables).fetchall()}

    def change_token(self) -> object:
        """Return a value that differs from the last one if anybody has committed since; cheaper than a query."""
        if self.path is None:
            with self.read() as connection, self._storage_errors():
                return self.dialect.change_token(connection)
        with self._watcher_lock:
            if self.closed:
                raise StoreUnavailable(f"{self}: closed")
            if self._watcher is not None and self.dialect.is_stale(self._watcher):
                self._watcher.close()
                self._watcher = None
            self._watcher = self._watcher or self._connect(read_only=True)
            with self._storage_errors():
                return self.dialect.change_token(self._watcher)

    def close(self) -> None:
        """Close every connection; idempotent."""
        self._closed.set()
        with self._watcher_lock:
            if self._watcher is not None:
                self._watcher.close()
                self._watcher = None
        self._readers.close()
        self._writers.close()

    def abandon(self) -> None:
        """Close even if the server does not answer: threads that wait for its answer get StoreUnavailable."""
        self.close()
        for connection in {*self._readers.out(), *self._writers.out()}:
            self.dialect.cut_off(connection)

    def __str__(self) -> str:
        """Return the URL without its password, or the path."""
        password = urlsplit(self.url).password if self.is_postgres else None
        return self.url.replace(f":{password}@", ":***@") if password else str(self.path or self.url)

    # Helpers

    def _connect(self, *, read_only: bool = False) -> Any:
        if self.barred and not read_only:
            remedy = "let its owner do this, or give us the right to write the file and its folder"
            raise ReadOnlyStore(f"{self} can only be read, and nothing was changed: {self.barred}; {remedy}")
        with self._storage_errors():
            return self.dialect.connect(read_only=read_only)

    def _take(self, pool: Pool) -> Any:
        """Take a connection from the pool; replace one whose server has left while it was idle."""
        while self.dialect.is_stale(connection := pool.take()):
            pool.discard(connection)
        return connection

    def _give_back(self, pool: Pool, connection: Any) -> None:
        if self.dialect.is_broken(connection):
            pool.discard(connection)
        else:
            pool.give(connection)

    def _current(self) -> Any:
        connection = self._local.connection
        if connection is None:
            raise StorageError("this needs a surrounding write() or read()")
        return connection

    def _begin(self, connection: Any) -> None:
        try:
            self.dialect.begin(connection)
        except self.dialect.errors as error:
            raise self._storage_error(error) from error

    def _commit(self, connection: Any) -> None:
        try:
            kept = self.dialect.commit(connection)
        except self.dialect.errors as error:
            found = self._storage_error(error)
            raise (CommitInDoubt(str(found)) if self.dialect.is_broken(connection) else found) from error
        if not kept:
            raise StoreUnavailable(f"{self}: nothing was written, since a statement of the transaction had failed")

    def _roll_back(self, connection: Any) -> None:
        with suppress(*self.dialect.errors):  # a broken connection has ended its transaction
            if self.dialect.in_transaction(connection):
                connection.execute("ROLLBACK")

    @contextmanager
    def _storage_errors(self) -> Iterator[None]:
        """Raise StorageError for the driver's errors; `execute` and `_begin` do it themselves, which is faster."""
        try:
            yield
        except self.dialect.errors as error:
            raise self._storage_error(error) from error

    def _storage_error(self, error: Exception) -> StorageError:
        if isinstance(error, self.dialect.refusals):
            too_large = isinstance(error, OverflowError)
            return ValueRefused(f"{self}: {'a number is too large for it' if too_large else str(error).strip()}")
        problem_kind, remedy = self.dialect.diagnosis(error)
        kind = StoreDamaged if problem_kind == "database_damaged" else StoreUnavailable
        found = kind("; ".join(filter(None, (f"{self}: {str(error).strip()}", remedy))))
        found.problem_kind = problem_kind
        return found


class _Local(threading.local):
    """The connection that this thread uses."""

    connection: Any = None
    writing: bool = False


def _dialect_of(url: str, *, durable: bool) -> SqliteDialect | PostgresDialect:
    """Return the dialect for a resolved URL. StoreUnavailable for another scheme."""
    scheme = urlsplit(url).scheme
    if scheme in ("postgresql", "postgres"):
        return PostgresDialect(url)
    if scheme == "sqlite":
        return SqliteDialect(sqlite_path(url), durable=durable)
    raise StoreUnavailable(f"{url}: the store is sqlite:///PATH or postgresql://…, not {scheme or 'this'}")
