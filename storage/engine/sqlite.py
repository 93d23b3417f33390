"""The dialect of SQLite: one file, or one connection's memory."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..errors import DatabaseMissing, StoreUnavailable
from .diagnosis import BY_SQLITE_CODE, UNKNOWN, Diagnosis, unfinished
from .dialect import Dialect
from .sqlite_file import SqliteFile

OLDEST_SQLITE = (3, 35, 0)  # the first with RETURNING
BUSY_TIMEOUT_S = 5.0
READERS = 4
CHECKPOINT_PAGES = 4000  # 16 MB: a checkpoint syncs the disk, so four times rarer than SQLite's own rhythm


class _SqliteConnection(sqlite3.Connection):
    """A connection that may take its file for unchanging."""

    #: `SqliteFile.at_rest()` of one that does
    at_rest: tuple[int, ...] | None = None


class SqliteDialect(Dialect):
    """One file, or one connection's memory; one writer at a time."""

    is_postgres = False
    errors = (sqlite3.Error, UnicodeError, OverflowError)
    refusals = (sqlite3.DataError, sqlite3.IntegrityError, UnicodeError, OverflowError)
    connections = READERS
    identity = "INTEGER PRIMARY KEY AUTOINCREMENT"
    double = "REAL"
    clustered = " WITHOUT ROWID"
    skip_locked = for_update = ""  # there is one writer at a time

    def __init__(self, path: Path | None, *, durable: bool = False) -> None:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise StoreUnavailable(f"SQLite 3.35 or newer is needed, this Python has {sqlite3.sqlite_version}")
        self.path = path
        self.file = SqliteFile(path) if path is not None else None
        self._synchronous = "FULL" if durable else "NORMAL"

    def connect(self, *, read_only: bool = False) -> _SqliteConnection:
        """WAL, so that readers never wait for the writer; NORMAL loses no commit unless the power goes."""
        connection = self._barred() if self.barred else self._opened(self._place("rw"))
        try:
            if self.file is not None and self.file.is_lost():
                raise DatabaseMissing(f"{self.path} was deleted, or another file was put in its place")
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
        """Return True if it takes a file for unchanging that has changed."""
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

    def _place(self, mode: str) -> str:
        """Of a file that is there: left to itself, SQLite makes an empty one in the place of one that is gone."""
        return ":memory:" if self.path is None else f"{self.path.as_uri()}?mode={mode}"

    def _barred(self) -> _SqliteConnection:
        """For reading alone: to read a WAL file SQLite makes two more beside it, unless it may take it for unchanging.

        It may where nobody has it open; `is_stale` sees that somebody does.
        """
        at_rest = self._at_rest()
        connection = self._opened(self._place("ro&immutable=1" if at_rest else "ro"))
        connection.at_rest = at_rest
        return connection

    def _at_rest(self) -> tuple[int, ...] | None:
        try:
            return self.file.at_rest() if self.file is not None else None
        except OSError:
            return None

    @staticmethod
    def _opened(place: str) -> _SqliteConnection:
        return sqlite3.connect(
            place,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            factory=_SqliteConnection,
            uri=True,
        )


def sqlite_path(url: str) -> Path | None:
    """`sqlite:///data/x.db` is relative, `sqlite:////data/x.db` absolute, `sqlite:///:memory:` has no file.

    Made absolute at once: a connection opened after a change of folder must find the same file.
    """
    text = url.removeprefix("sqlite://").removeprefix("/")
    return None if text in ("", ":memory:") else Path(text).expanduser().absolute()


# Helpers


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
