"""Reads log files as they grow."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

#: seconds between two looks
LOOK_S = 0.25


class TailedFile:
    """A file that is read from its last lines on; it may be missing, be truncated, or be replaced."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._inode = 0
        self._rest = b""

    def last(self, count: int) -> list[str]:
        """Return the last lines; later ones come from `new`."""
        return list(deque(self.new(), maxlen=count))

    def new(self) -> Iterator[str]:
        """Yield whole lines that came since the last call."""
        try:
            with self.path.open("rb") as file:
                self._find_place(file.fileno())
                file.seek(self._offset)
                for line in file:
                    self._offset += len(line)
                    if not line.endswith(b"\n"):
                        self._rest += line
                        return
                    whole, self._rest = self._rest + line, b""
                    yield whole.decode(errors="replace").rstrip("\n")
        except FileNotFoundError:
            return

    def _find_place(self, fd: int) -> None:
        stat = os.fstat(fd)
        if stat.st_ino != self._inode or stat.st_size < self._offset:
            self._inode, self._offset, self._rest = stat.st_ino, 0, b""


def follow_all(files: Sequence[TailedFile]) -> Iterator[tuple[TailedFile, str]]:
    """Yield new lines of all files, without end."""
    while True:
        for file in files:
            for line in file.new():
                yield file, line
        time.sleep(LOOK_S)
