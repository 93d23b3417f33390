"""What the drivers' errors mean for the store, and what to do about them."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from ..problem_kinds import ProblemKind


class Diagnosis(NamedTuple):
    """What a driver's error means for the store."""

    problem_kind: ProblemKind
    #: what to do about it; empty where the driver's own words have to do
    remedy: str = ""


UNKNOWN = Diagnosis("database_failed")
DAMAGED = Diagnosis(
    "database_damaged",
    "put a backup in its place, or begin with empty tables: statemachine-db recreate-database",
)
BY_SQLITE_CODE = {
    sqlite3.SQLITE_BUSY: Diagnosis(
        "database_locked", "another process does not let go of it: statemachine-db doctor says which"
    ),
    sqlite3.SQLITE_FULL: Diagnosis("database_full", "make room on its disk"),
    sqlite3.SQLITE_READONLY: Diagnosis(
        "database_read_only", "give us the right to write the file and its folder: statemachine-db doctor looks"
    ),
    sqlite3.SQLITE_CANTOPEN: Diagnosis(
        "database_not_opened", "see that its folder is there and that we may write it: statemachine-db doctor looks"
    ),
    sqlite3.SQLITE_IOERR: Diagnosis(
        "database_io_error", "see whether its disk is full, and what the kernel says of it"
    ),
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
}
#: None: the connection is lost before the server could say why
BY_SQLSTATE = {
    None: Diagnosis("database_unreachable", "see that the server runs and can be reached"),
    "57P01": Diagnosis("database_unreachable"),  # it is shut down
    "57P02": Diagnosis("database_unreachable"),  # it crashed
    "57P03": Diagnosis("database_unreachable"),  # it starts, or stops
    "53100": Diagnosis("database_full", "make room on its disk"),
    "25006": Diagnosis("database_read_only"),
}


def unfinished(barred: str, path: Path | None) -> Diagnosis:
    """Of a file that can only be read, and that was never closed: SQLite would have to write beside it to read it."""
    return Diagnosis(
        "database_not_opened",
        f"{barred}, and what was written last is still in {path and path.name}-wal, which cannot be read so: have its "
        "owner run statemachine-db status, or copy both files to a folder of yours",
    )
