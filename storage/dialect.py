"""Everything in which SQLite and PostgreSQL differ."""

from __future__ import annotations

import os
import select
import socket
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from .diagnosis import BY_SQLITE_CODE, BY_SQLSTATE, UNKNOWN, Diagnosis, unfinished
from .errors import StoreUnavailable
from .sqlitefile import SqliteFile

if TYPE_CHECKING:
    import psycopg

OLDEST_SQLITE = (3, 35, 0)  # the first with RETURNING
BUSY_TIMEOUT_S = 5.0
SQLITE_READERS = 4
CHECKPOINT_PAGES = 4000  # 16 MB: a checkpoint syncs the disk, so four times rarer than SQLite's own rhythm
POSTGRES_CONNECTIONS = 8


class Dialect(ABC):
    """What `Database` needs to know about the database behind the URL."""

    is_postgres: bool
    errors: tuple[type[Exception], ...]
    refusals: tuple[type[Exception], ...]
    """Those of the errors that are the values' fault, not the store's."""
    connections: int
    identity: str
    """Column type of an id that is never used twice."""
    double: str
    """Column type of a float of 64 bits."""
    clustered: str
    """Ends a table whose rows stand in the order of their primary key: one tree to write instead of two."""
    barred = ""
    """Why nothing can be written; empty if it can."""
    skip_locked: str
    """Ends a sub-select that picks rows to update, so that two pickers never wait for each other."""
    for_update: str
    """Ends a select of rows that nobody else may change until the transaction ends."""

    @abstractmethod
    def connect(self, *, read_only: bool = False) -> Any:
        """A new connection in autocommit mode; the driver's own errors come out."""

    @abstractmethod
    def sql(self, text: str) -> str:
        """The statement with the driver's placeholders instead of `?`."""

    @abstractmethod
    def begin(self, connection: Any) -> None:
        """Start a transaction that writes."""

    @abstractmethod
    def commit(self, connection: Any) -> bool:
        """End the transaction; False if the database undid it instead."""

    @abstractmethod
    def diagnosis(self, error: Exception) -> Diagnosis:
        """What one of the driver's errors, or of the system's on the way to the file, means."""

    @abstractmethod
    def is_broken(self, connection: Any) -> bool:
        """True when the connection cannot be used again."""

    @abstractmethod
    def cut_off(self, connection: Any) -> None:
        """Let what another thread does on it fail at once."""

    @abstractmethod
    def is_stale(self, connection: Any) -> bool:
        """True when an idle connection's server has hung up, or its file has been replaced."""

    @abstractmethod
    def in_transaction(self, connection: Any) -> bool:
        """True between begin and the end of the transaction, also after it failed."""

    @abstractmethod
    def lock(self, connection: Any, name: str) -> None:
        """Keep other transactions that ask for the same name waiting until this one ends."""

    @abstractmethod
    def executemany(self, connection: Any, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run one statement once per row; how many rows were changed."""

    @abstractmethod
    def change_token(self, connection: Any) -> object:
        """A value that differs from the one before if another connection has committed meanwhile."""

    @abstractmethod
    def tables(self, connection: Any) -> set[str]:
        """Names of the tables that exist."""

    @abstractmethod
    def clock_skew(self, connection: Any, now: float) -> float:
        """Seconds to add to this host's clock so that all hosts of one store agree."""

    @abstractmethod
    def notify(self, connection: Any, payload: str) -> None:
        """Tell every listener of this store, when the transaction commits."""


class _SqliteConnection(sqlite3.Connection):
    """Knows which of the files it is open on that the path has named."""

    generation = 0
    #: `SqliteFile.at_rest()` of one that takes the file for unchanging
    at_rest: tuple[int, ...] | None = None


class SqliteDialect(Dialect):
    """One file, or one connection's memory; one writer at a time."""

    is_postgres = False
    errors = (sqlite3.Error, UnicodeError, OverflowError)
    refusals = (sqlite3.DataError, sqlite3.IntegrityError, UnicodeError, OverflowError)
    connections = SQLITE_READERS
    identity = "INTEGER PRIMARY KEY AUTOINCREMENT"
    double = "REAL"
    clustered = " WITHOUT ROWID"
    skip_locked = for_update = ""  # there is one writer at a time

    def __init__(self, path: Path | None, *, durable: bool = False) -> None:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise StoreUnavailable(f"SQLite 3.35 or newer is needed, this Python has {sqlite3.sqlite_version}")
        self.path = path
        self.file = SqliteFile(path) if path is not None else None
        #: counts the files that this path has named; a connection to an earlier one is stale
        self.generation = 0
        self._synchronous = "FULL" if durable else "NORMAL"

    def connect(self, *, read_only: bool = False) -> _SqliteConnection:
        """WAL, so that readers never wait for the writer; NORMAL loses no commit unless the power goes."""
        connection = self._barred() if self.barred else self._opened(self.path or ":memory:")
        connection.generation = self.generation
        try:
            if self.path is not None and not self.barred:
                _log_ahead(connection)
                connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            connection.execute("PRAGMA temp_store=MEMORY")
            if read_only:
                connection.execute("PRAGMA query_only=1")
        except BaseException:
            connection.close()
            raise
        return connection

    def sql(self, text: str) -> str:
        return text

    def begin(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")

    def commit(self, connection: sqlite3.Connection) -> bool:
        connection.execute("COMMIT")
        return True

    def diagnosis(self, error: Exception) -> Diagnosis:
        code = sqlite3.SQLITE_CANTOPEN if isinstance(error, OSError) else getattr(error, "sqlite_errorcode", 0) & 0xFF
        if self.barred and code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            return unfinished(self.barred, self.path)
        return BY_SQLITE_CODE.get(code, UNKNOWN)

    def is_broken(self, connection: _SqliteConnection) -> bool:
        return False

    def cut_off(self, connection: sqlite3.Connection) -> None:
        connection.interrupt()

    def is_stale(self, connection: _SqliteConnection) -> bool:
        """It is open on a file that another has replaced, or takes one for unchanging that changes."""
        if connection.generation != self.generation:
            return True
        return connection.at_rest is not None and connection.at_rest != self._at_rest()

    def in_transaction(self, connection: sqlite3.Connection) -> bool:
        return connection.in_transaction

    def lock(self, connection: sqlite3.Connection, name: str) -> None:
        """Nothing to do: a transaction that writes is alone already."""

    def executemany(self, connection: sqlite3.Connection, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        return connection.executemany(sql, rows).rowcount

    def change_token(self, connection: _SqliteConnection) -> object:
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        return version, connection.total_changes, connection.at_rest

    def tables(self, connection: sqlite3.Connection) -> set[str]:
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def clock_skew(self, connection: sqlite3.Connection, now: float) -> float:
        return 0.0

    def notify(self, connection: sqlite3.Connection, payload: str) -> None:
        """Nothing to do: processes on one host ring each other by datagram."""

    def _barred(self) -> _SqliteConnection:
        """For reading alone: to read a WAL file SQLite makes two more beside it, unless it may take it for unchanging.

        It may where nobody has it open; `is_stale` sees that somebody does.
        """
        at_rest = self._at_rest()
        connection = self._opened(f"file:{quote(str(self.path))}?mode=ro{'&immutable=1' if at_rest else ''}")
        connection.at_rest = at_rest
        return connection

    def _at_rest(self) -> tuple[int, ...] | None:
        try:
            return self.file.at_rest() if self.file is not None else None
        except OSError:
            return None

    @staticmethod
    def _opened(place: Path | str) -> _SqliteConnection:
        return sqlite3.connect(
            place,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            factory=_SqliteConnection,
            uri=str(place).startswith("file:"),
        )


class PostgresDialect(Dialect):
    """A server; several hosts, many writers."""

    is_postgres = True
    connections = POSTGRES_CONNECTIONS
    identity = "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"
    double = "DOUBLE PRECISION"
    clustered = ""
    skip_locked = " FOR UPDATE SKIP LOCKED"
    for_update = " FOR UPDATE"

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            import psycopg  # 100 ms that only a PostgreSQL URL pays
        except ImportError as error:
            hint = "pip install 'statemachine-engine[postgres]'"
            raise StoreUnavailable(f"PostgreSQL needs psycopg: {hint} ({error})") from error
        self._psycopg = psycopg
        self.errors = (psycopg.Error, UnicodeError)
        self.refusals = (psycopg.DataError, psycopg.IntegrityError, UnicodeError)
        self._channel = ""

    def connect(self, *, read_only: bool = False) -> psycopg.Connection[Any]:
        options: dict[str, Any] = {} if "connect_timeout" in self.url else {"connect_timeout": 10}
        connection = self._psycopg.connect(self.url, autocommit=True, **options)
        if not self._channel:
            row = connection.execute("SELECT current_schema()").fetchone()
            self._channel = f"statemachine_{row[0] if row else 'public'}"
        return connection

    def sql(self, text: str) -> str:
        return _percent_placeholders(text)

    def begin(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute("BEGIN")

    def commit(self, connection: psycopg.Connection[Any]) -> bool:
        """After a failed statement the server answers COMMIT with ROLLBACK and calls that no error."""
        return connection.execute("COMMIT").statusmessage == "COMMIT"

    def diagnosis(self, error: Exception) -> Diagnosis:
        state = getattr(error, "sqlstate", None)
        if state is None and not isinstance(error, self._psycopg.OperationalError):
            return UNKNOWN
        return BY_SQLSTATE.get(state, UNKNOWN)

    def is_broken(self, connection: psycopg.Connection[Any]) -> bool:
        return connection.closed or connection.broken

    def cut_off(self, connection: psycopg.Connection[Any]) -> None:
        """As if the server had hung up: a request to cancel would be answered by nobody either."""
        with suppress(*self.errors, OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    def is_stale(self, connection: psycopg.Connection[Any]) -> bool:
        """Nothing is under way, so all that there can be to read is the server's farewell."""
        return bool(_readable(0, connection.fileno()))

    def in_transaction(self, connection: psycopg.Connection[Any]) -> bool:
        return connection.info.transaction_status != self._psycopg.pq.TransactionStatus.IDLE

    def lock(self, connection: psycopg.Connection[Any], name: str) -> None:
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || %s, 0))", (name,))

    def executemany(self, connection: psycopg.Connection[Any], sql: str, rows: Iterable[Sequence[Any]]) -> int:
        with connection.cursor() as cursor:
            cursor.executemany(sql.encode(), rows)
            return cursor.rowcount

    def change_token(self, connection: psycopg.Connection[Any]) -> object:
        """The snapshot's text: every transaction that writes changes it when it ends."""
        return connection.execute("SELECT pg_current_snapshot()::text").fetchone()

    def tables(self, connection: psycopg.Connection[Any]) -> set[str]:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        return {row[0] for row in rows}

    def clock_skew(self, connection: psycopg.Connection[Any], now: float) -> float:
        """Leases are compared across hosts, so the server's clock counts; tenths of a second are the network's."""
        row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
        skew = float(row[0]) - now if row else 0.0
        return skew if abs(skew) > 0.5 else 0.0

    def notify(self, connection: psycopg.Connection[Any], payload: str) -> None:
        connection.execute("SELECT pg_notify(%s, %s)", (self._channel, payload))

    def listen(self) -> PostgresListener:
        """A connection of its own that hears what `notify` says."""
        connection = self.connect()
        connection.execute(f'LISTEN "{self._channel}"'.encode())
        return PostgresListener(connection)


class PostgresListener:
    """Waits for notifications without waking up in between; `close()` from any thread ends the wait."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._wake_reader, self._wake_writer = os.pipe()
        self._in_use = threading.Lock()

    def wait(self, timeout_s: float) -> list[str]:
        """Payloads that came within the time; [] when none did."""
        with self._in_use:
            if self._connection.closed:
                return []
            here = self._connection.fileno()
            return self._pending() or (self._pending() if here in _readable(timeout_s, here, self._wake_reader) else [])

    def close(self) -> None:
        """End a wait that is under way, then the connection; safe to call twice."""
        if self._wake_writer < 0:
            return
        os.write(self._wake_writer, b"x")
        with self._in_use:
            self._connection.close()
            os.close(self._wake_reader)
            os.close(self._wake_writer)
            self._wake_writer = -1

    def _pending(self) -> list[str]:
        return [notice.payload for notice in self._connection.notifies(timeout=0)]


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Set WAL; two that turn an older file to it at once are told "locked" without SQLite's own wait."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.005)


def _readable(timeout_s: float, *descriptors: int) -> list[int]:
    """Those with something to read; poll, because select ends at descriptor 1023."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(timeout_s * 1000)]


def dialect_for(url: str, *, durable: bool = False) -> SqliteDialect | PostgresDialect:
    """The dialect of a resolved URL. StoreUnavailable for a scheme that is neither."""
    scheme = urlsplit(url).scheme
    if scheme in ("postgresql", "postgres"):
        return PostgresDialect(url)
    if scheme == "sqlite":
        return SqliteDialect(sqlite_path(url), durable=durable)
    raise StoreUnavailable(f"{url}: the store is sqlite:///PATH or postgresql://…, not {scheme or 'this'}")


def sqlite_path(url: str) -> Path | None:
    """`sqlite:///data/x.db` is relative, `sqlite:////data/x.db` absolute, `sqlite:///:memory:` has no file.

    Made absolute at once: a connection opened after a change of folder must find the same file.
    """
    text = url.removeprefix("sqlite://").removeprefix("/")
    return None if text in ("", ":memory:") else Path(text).expanduser().absolute()


@lru_cache(maxsize=512)
def _percent_placeholders(text: str) -> str:
    return text.replace("%", "%%").replace("?", "%s")
