"""The file of a SQLite database: made for its owner alone, and told from another that takes its place."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from . import private

ANOTHER_FILE = "remove it if you may, or name a database in a folder of your own; PostgreSQL serves several users"


class FileId(NamedTuple):
    """Which file it is that a path names."""

    device: int
    inode: int


class SqliteFile:
    """A database with the two files that SQLite puts beside it, and the file that was found there last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: FileId | None = None
        self._known_log: FileId | None = None

    def make(self) -> None:
        """Create the folder and an empty file, readable by its owner alone whatever the umask says, unless it is there.

        What a deleted database has left beside it goes first: SQLite would take it for a part of the new one.
        """
        if self.path.exists():
            return
        private.make_folder(self.path.parent)
        with _locked(self.path.parent):
            if not self.path.exists():
                self._remove_beside()
                private.make_file(Path(os.path.realpath(self.path)))  # a link of ours may lead to where it is to be

    def check_owner(self) -> None:
        """NotOurs for a file that a stranger has put there, or beside it, where SQLite would read it as its own.

        Root opens anybody's database as what it is.
        """
        trusted = [self.path.stat().st_uid] if os.geteuid() == 0 and self.path.exists() else []
        journal = self.path.with_name(f"{self.path.name}-journal")
        for path in (self.path, *self._beside, journal):
            private.check(path, ANOTHER_FILE, trusted)

    def remember(self) -> None:
        """Know the file that is there now as ours; to be called while it is open, so that its number stays its own."""
        self._known, self._known_log = _id(self.path), _id(self._beside[0])

    def has_moved(self) -> bool:
        """Whether it is gone, or another one stands in its place."""
        return self._known is not None and _id(self.path) != self._known

    def make_way(self) -> None:
        """After a move: leave nothing of the old file to the one that has its place; make that if there is none.

        OSError, also where a whole disk is gone: it will come back, and nothing must stand in its place.
        """
        if self._known is not None and os.stat(self.path.parent).st_dev != self._known.device:
            raise FileNotFoundError(f"the disk that held {self.path} is not mounted any more")
        with _locked(self.path.parent):
            if self._known_log is not None and _id(self._beside[0]) == self._known_log:
                self._remove_beside()
        self.make()

    def set_aside(self) -> Path:
        """Rename it, so that a new one can be made; where it is now. What stood beside it goes with it. OSError."""
        number = 1
        while (target := self.path.with_name(f"{self.path.name}.damaged-{number}")).exists():
            number += 1
        with _locked(self.path.parent):
            for path in (self.path, *self._beside):
                if path.exists():
                    path.rename(path.with_name(path.name.replace(self.path.name, target.name, 1)))
        return target

    @property
    def _beside(self) -> tuple[Path, Path]:
        """Log and shared memory."""
        return self.path.with_name(f"{self.path.name}-wal"), self.path.with_name(f"{self.path.name}-shm")

    def _remove_beside(self) -> None:
        for path in self._beside:
            path.unlink(missing_ok=True)


# Helpers


def _id(path: Path) -> FileId | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return FileId(stat.st_dev, stat.st_ino)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process of this host at a time; a folder can be locked as a file can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
