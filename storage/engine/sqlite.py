"""SQLite: one file, or one connection's memory."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DatabaseMissing, StoreUnavailable
from .sqlite_file import SqliteFile

if TYPE_CHECKING:
    from ..problem_kinds import ProblemKind

OLDEST_SQLITE = (3, 35, 0)  # the first with RETURNING
BUSY_TIMEOUT_S = 5.0
READERS = 4
CHECKPOINT_PAGES = 4000  # 16 MB: a checkpoint syncs the disk, so four times rarer than SQLite's own rhythm

DAMAGED = "put a backup in its place, or begin with empty tables: statemachine-db recreate-database"

#: error code -> kind of problem, and what to do about it
DIAGNOSES: dict[int, tuple[ProblemKind, str]] = {
    sqlite3.SQLITE_BUSY: (
        "database_locked", "another process does not let go of it: statemachine-db doctor says which"
    ),
    sqlite3.SQLITE_FULL: ("database_full", "make room on its disk"),
    sqlite3.SQLITE_READONLY: (
        "database_read_only", "give us the right to write the file and its folder: statemachine-db doctor looks"
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "database_not_opened", "see that its folder is there and that we may write it: statemachine-db doctor looks"
    ),
    sqlite3.SQLITE_IOERR: ("database_io_error", "see whether its disk is full, and what the kernel says of it"),
    sqlite3.SQLITE_CORRUPT: ("database_damaged", DAMAGED),
    sqlite3.SQLITE_NOTADB: ("database_damaged", DAMAGED),
}  # fmt: skip


class _SqliteConnection(sqlite3.Connection):
    """A connection that may take its file for unchanging."""

    #: `SqliteFile.at_rest()` of one that does
    at_rest: tuple[int, ...] | None = None


class SqliteDialect:
    """The dialect of SQLite. Methods raise the driver's own errors."""

    is_postgres = False
    errors = (sqlite3.Error, UnicodeError, OverflowError)
    #: the errors that are the fault of a value, not of the store
    refusals = (sqlite3.DataError, sqlite3.IntegrityError, UnicodeError, OverflowError)
    connections = READERS
    #: column type of an id that is never used twice
    identity = "INTEGER PRIMARY KEY AUTOINCREMENT"
    #: column type of a float of 64 bits
    double = "REAL"
    #: ends a table whose rows stand in the order of their primary key: one tree to write instead of two
    clustered = " WITHOUT ROWID"
    #: ends a sub-select that picks rows to update, so that two pickers never wait for each other
    skip_locked = ""
    #: ends a select of rows that nobody else may change until the transaction ends
    for_update = ""
    #: selects the names of the tables
    tables = "SELECT name FROM sqlite_master WHERE type = 'table'"

    def __init__(self, path: Path | None, *, durable: bool = False) -> None:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise StoreUnavailable(f"SQLite 3.35 or newer is needed, this Python has {sqlite3.sqlite_version}")
        self.path = path
        self.file = SqliteFile(path) if path is not None else None
        #: the reason why nothing can be written; empty if it can
        self.barred = ""
        self._synchronous = "FULL" if durable else "NORMAL"

    def connect(self, *, read_only: bool = False) -> _SqliteConnection:
        """Open a connection in autocommit mode. DatabaseMissing if the file is not the one that was opened first.

        With WAL, readers never wait for the writer; NORMAL loses no commit unless the power fails.
        """
        connection = self._open_barred() if self.barred else self._open("rw")
        try:
            if self.file is not None and self.file.is_lost():
                raise DatabaseMissing(f"{self.path} was deleted, or another file was put in its place")
            if self.path is not None and not self.barred:
                _set_wal(connection)
                connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            connection.execute("PRAGMA temp_store=MEMORY")
            if read_only:
                connection.execute("PRAGMA query_only=1")
        except BaseException:
            connection.close()
            raise
        return connection

    def begin(self, connection: sqlite3.Connection) -> None:
        """Start a transaction that writes."""
        connection.execute("BEGIN IMMEDIATE")

    def commit(self, connection: sqlite3.Connection) -> bool:
        """End the transaction. Return False if the database rolled it back, which SQLite never does."""
        connection.execute("COMMIT")
        return True

    def in_transaction(self, connection: sqlite3.Connection) -> bool:
        """Return True between begin and the end of the transaction, also after it failed."""
        return connection.in_transaction

    def diagnosis(self, error: Exception) -> tuple[ProblemKind, str]:
        """Return the kind of problem that an error of the driver, or of the system, means, and what to do about it."""
        code = sqlite3.SQLITE_CANTOPEN if isinstance(error, OSError) else getattr(error, "sqlite_errorcode", 0) & 0xFF
        if self.barred and self.path and code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            # it was never closed, and SQLite would have to write beside it to read it
            return "database_not_opened", (
                f"{self.barred}, and what was written last is still in {self.path.name}-wal, which cannot be read so: "
                "have its owner run statemachine-db status, or copy both files to a folder of yours"
            )
        return DIAGNOSES.get(code, ("database_failed", ""))

    def is_broken(self, connection: _SqliteConnection) -> bool:
        """Return True if the connection cannot be used again."""
        return False

    def is_stale(self, connection: _SqliteConnection) -> bool:
        """Return True if an idle connection takes a file for unchanging that has changed."""
        return connection.at_rest is not None and connection.at_rest != self._at_rest()

    def cut_off(self, connection: sqlite3.Connection) -> None:
        """Make the call of another thread on this connection fail at once."""
        connection.interrupt()

    def change_token(self, connection: _SqliteConnection) -> object:
        """Return a value that differs from the one before if another connection has committed."""
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        return version, connection.total_changes, connection.at_rest

    def _open_barred(self) -> _SqliteConnection:
        """Open for reading alone.

        To read a WAL file, SQLite creates two more beside it, unless it may take the file for unchanging. It may while
        nobody has the file open; `is_stale` finds out when somebody opens it.
        """
        at_rest = self._at_rest()
        connection = self._open("ro&immutable=1" if at_rest else "ro")
        connection.at_rest = at_rest
        return connection

    def _at_rest(self) -> tuple[int, ...] | None:
        try:
            return self.file.at_rest() if self.file is not None else None
        except OSError:
            return None

    def _open(self, mode: str) -> _SqliteConnection:
        """Open an existing file only; without `mode`, SQLite would create an empty database."""
        return sqlite3.connect(
            ":memory:" if self.path is None else f"{self.path.as_uri()}?mode={mode}",
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            factory=_SqliteConnection,
            uri=True,
        )


def sqlite_path(url: str) -> Path | None:
    """Return the path in a URL, None for `sqlite:///:memory:`. `sqlite:////x.db` is absolute, `sqlite:///x.db` not.

    It is made absolute at once: a connection opened after a change of folder must find the same file.
    """
    text = url.removeprefix("sqlite://").removeprefix("/")
    return None if text in ("", ":memory:") else Path(text).expanduser().absolute()


# Helpers


def _set_wal(connection: sqlite3.Connection) -> None:
    """Set WAL mode. SQLite does not wait for its lock here, so two processes that set it at once try again."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.005)
