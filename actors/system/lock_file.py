"""A file that one process at a time can hold, for as long as it lives."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from ...storage import private
from ..sockets.unix_socket import OTHER_PLACE


class LockFile:
    """The kernel lets go of it when its holder dies, however that happens; the file says who the holder is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def take(self) -> bool:
        """False while another process holds it. NotOurs for a stranger's file, OSError when there can be no such."""
        while True:
            private.check(self.path, OTHER_PLACE)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                private.check_open(fd, self.path, OTHER_PLACE)
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(self.path, fd):
                    with contextlib.suppress(OSError):  # a full disk: the lock is held without the note as well
                        os.ftruncate(fd, 0)
                        os.write(fd, f"{os.getpid()}\n".encode())
                    self._fd, fd = fd, -1
                    return True
            except BlockingIOError:
                return False
            finally:
                if fd >= 0:
                    os.close(fd)  # its last holder has just removed it: try again with a new one

    def keep(self) -> bool:
        """Whether it is still held; taken again where somebody has removed the file. Errors as for `take`."""
        held = self._fd
        if held is None or _is_at(self.path, held):
            return held is not None
        if not self.take():
            return False
        os.close(held)
        return True

    def release(self) -> None:
        """Remove the file, unless it is another holder's by now, and let go of it then; idempotent."""
        fd, self._fd = self._fd, None
        if fd is not None:
            if _is_at(self.path, fd):
                self.path.unlink(missing_ok=True)
            os.close(fd)


def _is_at(path: Path, fd: int) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(path.stat(), os.fstat(fd))
    return False
