"""Files for their owner alone, in folders where other users may put theirs: ours and root's are used, no others."""

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
    """Whether this user may do with us what it likes: we ourselves, and root."""
    return uid in (0, os.geteuid())


def user(uid: int) -> str:
    """A user in words: name and uid."""
    try:
        return f"user {pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def check(path: Path, remedy: str, trusted: Collection[int] = ()) -> None:
    """NotOurs if what is at `path`, or the link that stands there, belongs to a stranger; nothing there is well.

    `trusted`: further uids that are none.
    """
    for status in _statuses(path):
        if status.st_uid not in trusted:
            check_status(status, path, remedy)


def check_status(status: os.stat_result, path: Path | str, remedy: str) -> None:
    """NotOurs if the file belongs to a stranger."""
    if not is_trusted(status.st_uid):
        raise NotOurs(path, f"it belongs to {user(status.st_uid)}, not to us or root", remedy)


def make_folder(path: Path) -> None:
    """The folder and those above it, each for its owner alone where it was not there; OSError."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(FOLDER, exist_ok=True)


def make_file(path: Path) -> None:
    """An empty file of mode 0600 whatever the umask says; FileExistsError if anything is there, links included."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, FILE)
    os.fchmod(descriptor, FILE)
    os.close(descriptor)


def open_log(path: Path) -> BinaryIO:
    """A file to add to, of mode 0600 when it is new. NotOurs for a stranger's, OSError for a link or no plain file."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, FILE)
    try:
        check_open(descriptor, path, "remove it, or let the logs go to a folder of your own")
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "ab")


def check_open(descriptor: int, path: Path, remedy: str) -> None:
    """NotOurs for an open file of a stranger, and for what is no plain file or has a second name elsewhere."""
    status = os.fstat(descriptor)
    check_status(status, path, remedy)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        raise NotOurs(path, "it is no plain file, or has a second name elsewhere", remedy)


# Helpers


def _statuses(path: Path) -> list[os.stat_result]:
    """Of the file, and of the link where it is one."""
    found = []
    for follow in (False, True):
        try:
            found.append(os.stat(path, follow_symlinks=follow))
        except FileNotFoundError:
            return found
    return found
