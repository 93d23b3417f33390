"""A file that one process at a time can lock, for as long as it lives."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from ...storage import private
from ..sockets.unix_socket import OTHER_PLACE


class LockFile:
    """The kernel releases the lock when its holder dies; the file contains the holder's process id."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def take(self) -> bool:
        """Lock the file; False if another process has locked it.

        Raises NotOurs if the file belongs to another user, OSError if it cannot be made.
        """
        while True:
            private.check(self.path, OTHER_PLACE)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                private.check_open(fd, self.path, OTHER_PLACE)
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(self.path, fd):
                    with contextlib.suppress(OSError):  # on a full disk the lock is held without the process id
                        os.ftruncate(fd, 0)
                        os.write(fd, f"{os.getpid()}\n".encode())
                    self._fd, fd = fd, -1
                    return True
            except BlockingIOError:
                return False
            finally:
                if fd >= 0:
                    os.close(fd)  # its last holder removed the file: try again with a new one

    def keep(self) -> bool:
        """Return True if it is still held; lock a new file if the old one was removed. Raises as `take`."""
        held = self._fd
        if held is None or _is_at(self.path, held):
            return held is not None
        if not self.take():
            return False
        os.close(held)
        return True

    def release(self) -> None:
        """Remove the file, unless another process holds a new one, and unlock it; idempotent."""
        fd, self._fd = self._fd, None
        if fd is not None:
            if _is_at(self.path, fd):
                self.path.unlink(missing_ok=True)
            os.close(fd)


def _is_at(path: Path, fd: int) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(path.stat(), os.fstat(fd))
    return False
