"""Log lines on their way out: a reader who stands still holds up nobody who has something to say."""

from __future__ import annotations

import errno
import logging
import os
import select
import threading
import time

from ..concurrency.supervised_thread import SupervisedThread

#: characters that wait at most; what comes while there are so many is left out, and counted
MOST_WAITING = 4 * 1024 * 1024

#: seconds that the end of a process waits for lines to be taken
FLUSH_S = 1.0

#: seconds between two looks whether the disk of a log file has room again
ROOM_S = 1.0

_FULL = (errno.ENOSPC, errno.EDQUOT)


class LogWriter(logging.Handler):
    """Writes to a file descriptor in a thread of its own, which is started with the first line.

    A pipe takes 64 KiB that nobody reads, a terminal stands still at Ctrl-S, a file's disk is full; then lines wait
    here, and machines do not. When the descriptor is closed at its other end, lines are thrown away.
    """

    def __init__(self, descriptor: int, encoding: str = "utf-8") -> None:
        super().__init__()
        self._descriptor, self._encoding = descriptor, encoding
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + "\n"
            with self._changed:
                self._put(line)
        except Exception:  # noqa: BLE001 - as in every handler
            self.handleError(record)

    def flush(self) -> None:
        """Wait until everything is written, FLUSH_S at most."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self.is_writing, FLUSH_S)

    # Helpers

    def _begin(self) -> None:
        """With nothing that waits, and no thread yet: a fork leaves both to the parent."""
        self._thread = SupervisedThread("sm-log", self._work, given_up=lambda: None)
        self._changed = threading.Condition()
        self._waiting: list[str] = []
        self._size = 0
        self._left_out = 0
        #: what was taken last is not out yet
        self.is_writing = False

    def _put(self, line: str) -> None:
        if not self._thread.started:
            self._thread.start()
        if self._waiting and self._size + len(line) > MOST_WAITING:
            self._left_out += 1
            return
        self._waiting.append(line)
        self._size += len(line)
        self._changed.notify_all()

    def _work(self) -> None:
        while True:
            text = self._taken()
            try:
                self._write(text.encode(self._encoding, "replace"))
            finally:
                with self._changed:
                    self.is_writing = False
                    self._changed.notify_all()

    def _taken(self) -> str:
        """All that waits, as soon as anything does; what came when there was no more room is said at its place."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting))
            text, self._waiting, self._size = "".join(self._waiting), [], 0
            left_out, self._left_out = self._left_out, 0
            self.is_writing = True
        return text + self._gap(left_out) if left_out else text

    def _gap(self, lines: int) -> str:
        said = "%d lines are left out here: nobody took them in time"
        record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, said, (lines,), None)
        return self.format(record) + "\n"

    def _write(self, data: bytes) -> None:
        """To the last byte; not by way of `sys.stderr`, whose lock the interpreter wants when it ends."""
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:  # whoever shares it with us has asked for that
                select.select([], [self._descriptor], [])
            except OSError as error:
                if error.errno not in _FULL:
                    return
                time.sleep(ROOM_S)
