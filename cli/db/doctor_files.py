"""Checks of `statemachine-db doctor` on files: the database file, its disk, the sockets."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from ...storage.engine.sqlite_file import SqliteFile, beside

Severity = Literal["ok", "warning", "error"]

Result = tuple[Severity, str, str]
"""What a check yields: severity, message, and what to do about it."""

LOW_BYTES, LOW_SHARE = 200 * 2**20, 0.05
LARGE_WAL_BYTES = 256 * 2**20

#: file systems on which the locks and the shared memory of SQLite do not work
NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "afs")


def disk(file: Path) -> Iterator[Result]:
    """Check the free space, the kind of file system, and the size of the database."""
    usage = shutil.disk_usage(file.parent)
    log, _ = beside(file)
    size, wal = _size(file), _size(log)
    sizes = f"{file} has {_amount(size)}, its disk {_amount(usage.free)} left"
    if usage.free < LOW_BYTES:
        remedy = "make room: delete other files, then statemachine-db prune --older-than 30d, which needs some itself"
        yield "error", sizes, remedy
    elif usage.free < usage.total * LOW_SHARE:
        remedy = "make room: statemachine-db prune --older-than 30d, then delete other files"
        yield "warning", sizes, remedy
    else:
        yield "ok", sizes, ""
    if wal > LARGE_WAL_BYTES:
        message = f"{log} has {_amount(wal)}: a reader keeps it open for very long"
        yield "warning", message, f"end the reader: {open_by(file) or 'find it with lsof'}"
    kind = _file_system(file)
    if kind in NETWORK:
        remedy = "move it to a local disk, or use PostgreSQL where several hosts share it"
        yield "error", f"{file} is on a network file system ({kind}), where SQLite is not safe", remedy


def permissions(file: Path) -> Iterator[Result]:
    """Check that we may read and write the file, and that other users may not read it."""
    user = str(os.geteuid())
    unread = [path for path in (file, *beside(file)) if path.exists() and not _may(path, os.R_OK)]
    for path in unread:
        remedy = f"run as its owner (user {path.stat().st_uid}), or: chown {user} {shlex.quote(str(path))}"
        yield "error", f"{path} cannot be read by this user", remedy
    if not unread and (barred := SqliteFile(file).why_not_written()):
        remedy = "lists and the page work; for commands that write, run as its owner, on a writable file system"
        yield "error", f"{file} can only be read: {barred}", remedy
    if file.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        yield "warning", f"every user of this host can read {file}", f"chmod o-rwx {shlex.quote(str(file))}"
    yield "ok", f"{file} can be read and written", ""


def sockets(prefix: str, event_socket: str) -> Iterator[Result]:
    """Find socket files on which no process listens."""
    from ...actors.sockets.unix_socket import is_listening

    base = Path(prefix)
    paths = sorted(base.parent.glob(f"{base.name}-*.sock")) if base.parent.is_dir() else []
    monitor = Path(event_socket)
    paths += [monitor] if monitor.is_socket() else []
    stale = [path for path in paths if path.is_socket() and not is_listening(path)]
    for path in stale:
        yield "warning", f"nobody listens at {path}", f"rm {shlex.quote(str(path))}"
    yield "ok", f"{len(paths)} in use, none left over ({prefix}-*.sock)", ""


def open_by(file: Path) -> str:
    """Return the processes of this user that have the file open, as text for a message."""
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.path.realpath(fd) == str(file) for fd in (folder / "fd").iterdir()):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                pids.append(f"pid {folder.name} ({command[:60]})")
        except OSError:
            continue  # it has ended, or belongs to another user
    return ", ".join(pids)


# Helpers


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _amount(size: float) -> str:
    for unit, digits in (("bytes", 0), ("KB", 0), ("MB", 1), ("GB", 1)):
        if size < 1024:
            return f"{size:.{digits}f} {unit}"
        size /= 1024
    return f"{size:.1f} TB"


def _file_system(file: Path) -> str:
    """Return the type of the file system by the longest matching mount point; empty if unknown."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return ""
    path = os.path.realpath(file)
    under = [(where, kind) for where, kind in mounts if os.path.commonpath((path, where)) == where]
    return max(under, key=lambda mount: len(mount[0]))[1] if under else ""
