"""The file of a SQLite database: created for its owner alone, and recognized if another takes its place."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import private

ANOTHER_FILE = "remove it if you may, or name a database in a folder of your own; PostgreSQL serves several users"


#: the identity of a file: its device and its inode
FileId = tuple[int, int]


class SqliteFile:
    """A database's file with the two files that SQLite puts beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: FileId | None = None
        self._known_log: FileId | None = None

    def make(self) -> None:
        """Create the folder and an empty file, readable by its owner alone whatever the umask, unless it is there.

        The files that a deleted database left beside it are removed: SQLite would take them for a part of the new one.
        """
        if self.path.exists():
            return
        private.make_folder(self.path.parent)
        with _locked(self.path.parent):
            if not self.path.exists():
                self._remove_beside()
                private.make_file(Path(os.path.realpath(self.path)))  # the path may be a link of ours

    def check_owner(self) -> None:
        """Raise NotOurs for a file of another user, also for one beside it that SQLite would read.

        Root opens any user's database.
        """
        trusted = [self.path.stat().st_uid] if os.geteuid() == 0 and self.path.exists() else []
        journal = self.path.with_name(f"{self.path.name}-journal")
        for path in (self.path, *beside(self.path), journal):
            private.check(path, ANOTHER_FILE, trusted)

    def remember(self) -> None:
        """Remember which file is there, for `is_lost`; call this while it is open, so that its inode is not reused."""
        self._known, self._known_log = file_id(self.path), file_id(beside(self.path)[0])

    def missing(self) -> str:
        """Return the message that the file is missing, with what is there instead and how a database is made."""
        path, folder = self.path, self.path.parent
        what = " is a folder" if path.is_dir() else "" if folder.is_dir() else f", and no folder {folder}"
        meant = _likely(path)
        hint = f"did you mean {meant}? Else " if meant else ""
        makers = "statemachine-db add-job and send-event, the start of a machine and the page make one"
        return f"no such database: {path}{what}; {hint}{makers}"

    def why_not_written(self) -> str:
        """Return why we cannot write the file; empty if we can, or if it is not there."""
        file = Path(os.path.realpath(self.path))
        companions = beside(file)
        if not file.exists():
            return ""
        if os.statvfs(file).f_flag & os.ST_RDONLY:
            return "its file system is mounted read-only"
        if not _may_write(file):
            return "we may not write it"
        for path in companions:
            if path.exists() and not _may_write(path):
                return f"we may not write {path.name} beside it"
        if not _may_write(file.parent) and not all(path.exists() for path in companions):
            return "we may not write its folder, where SQLite needs two files more"
        return ""

    def at_rest(self) -> tuple[int, ...] | None:
        """Return a value that changes with the file, if nobody has it open; else None. OSError.

        None also after a crash, when the last writes are in the log beside the file.
        """
        file = Path(os.path.realpath(self.path))
        if any(_size(path) for path in (*beside(file), file.with_name(f"{file.name}-journal"))):
            return None
        stat = file.stat()
        return stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size

    def is_lost(self) -> bool:
        """Return True if the file that was opened is not at its path any more; False while nobody can tell.

        If another file is there, the old one's log is removed, because SQLite would apply it to that file.
        """
        try:
            found = file_id(self.path)
            log = file_id(beside(self.path)[0])
            if found not in (None, self._known) and log is not None and log == self._known_log:
                self._remove_beside()
        except OSError:
            return False
        return self._known not in (None, found)

    def set_aside(self) -> Path:
        """Rename it and the files beside it, so that a new one can be made. Return the new path. OSError."""
        number = 1
        while (target := self.path.with_name(f"{self.path.name}.damaged-{number}")).exists():
            number += 1
        with _locked(self.path.parent):
            for path in (self.path, *beside(self.path)):
                if path.exists():
                    path.rename(path.with_name(path.name.replace(self.path.name, target.name, 1)))
        return target

    def _remove_beside(self) -> None:
        for path in beside(self.path):
            path.unlink(missing_ok=True)


def beside(path: Path) -> tuple[Path, Path]:
    """Return the paths of the log and the index that SQLite puts beside a database."""
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")


def file_id(path: Path) -> FileId | None:
    """Return which file the path names, None if there is none. OSError if the path cannot be looked at."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_dev, stat.st_ino


# Helpers


def _likely(path: Path) -> Path | None:
    """Return the file that was most likely meant: one with a similar name, or in a folder with a similar name."""
    if path.is_dir():
        return next((file for file in sorted(path.glob("*.db"))), None)
    folder = path.parent if path.parent.is_dir() else _like(path.parent)
    if folder is None or not folder.is_dir():
        return None
    return folder / path.name if (folder / path.name).is_file() else _like(folder / path.name)


def _like(path: Path) -> Path | None:
    """Return the file or folder beside it with the most similar name."""
    from difflib import get_close_matches

    try:
        names = [name for name in os.listdir(path.parent) if not name.endswith(("-wal", "-shm"))]
    except OSError:
        return None
    return next((path.with_name(name) for name in get_close_matches(path.name, names, 1)), None)


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a lock on the folder, so that only one process of this host is in the block."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
