"""Files for their owner alone. In shared folders only our own files and root's are used."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from .errors import NotOurs

FILE, FOLDER = 0o600, 0o700


def is_trusted(uid: int) -> bool:
    """Return True for our own user and root."""
    return uid in (0, os.geteuid())


def user(uid: int) -> str:
    """Return a user's name and uid as text."""
    try:
        return f"user {pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def check(path: Path, remedy: str, trusted: Collection[int] = ()) -> None:
    """Raise NotOurs if the file at `path`, or the link to it, belongs to another user; a missing file is fine.

    `trusted`: further uids whose files are used.
    """
    for status in _statuses(path):
        if status.st_uid not in trusted:
            check_status(status, path, remedy)


def check_status(status: os.stat_result, path: Path | str, remedy: str) -> None:
    """Raise NotOurs if the file belongs to another user."""
    if not is_trusted(status.st_uid):
        raise NotOurs(path, f"it belongs to {user(status.st_uid)}, not to us or root", remedy)


def make_folder(path: Path) -> None:
    """Create the folder and those above it, each for its owner alone, unless they exist. OSError."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(FOLDER, exist_ok=True)


def make_file(path: Path) -> None:
    """Create an empty file of mode 0600, whatever the umask. FileExistsError if anything is there, also a link."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, FILE)
    os.fchmod(descriptor, FILE)
    os.close(descriptor)


def open_log(path: Path) -> BinaryIO:
    """Open a file to append to, of mode 0600 if it is new. NotOurs for another user's, OSError for a link."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, FILE)
    try:
        check_open(descriptor, path, "remove it, or let the logs go to a folder of your own")
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "ab")


def check_open(descriptor: int, path: Path, remedy: str) -> None:
    """Raise NotOurs for an open file of another user, and for one that is no plain file or has a second name."""
    status = os.fstat(descriptor)
    check_status(status, path, remedy)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        raise NotOurs(path, "it is no plain file, or has a second name elsewhere", remedy)


# Helpers


def _statuses(path: Path) -> list[os.stat_result]:
    """Return the status of the file, and of the link if it is one."""
    found = []
    for follow in (False, True):
        try:
            found.append(os.stat(path, follow_symlinks=follow))
        except FileNotFoundError:
            return found
    return found
