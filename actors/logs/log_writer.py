"""Writing log lines in a thread of its own, so that a reader who stops reading holds up no machine."""

from __future__ import annotations

import errno
import logging
import os
import queue
import select
import time
from logging.handlers import QueueHandler, QueueListener

#: characters that wait at most; lines that come while there are as many are left out and counted
MOST_WAITING = 4 * 1024 * 1024

#: seconds that the end of a process waits until the lines are written
FLUSH_S = 1.0

#: seconds between two attempts to write to a full disk
ROOM_S = 1.0

_FULL = (errno.ENOSPC, errno.EDQUOT)


class LogWriter(QueueHandler):
    """Formats records in the thread that logs, and writes them in a thread that starts with the first record.

    A pipe takes 64 KiB that nobody reads, a terminal can be stopped with Ctrl-S, the disk of a file may be full: then
    lines wait in the queue, and machines do not. Lines for a pipe whose reader is gone are thrown away.
    """

    def __init__(self, descriptor: int, encoding: str = "utf-8") -> None:
        super().__init__(queue.SimpleQueue())
        self._descriptor, self._encoding = descriptor, encoding
        self._listener: QueueListener | None = None
        self._left_out = 0
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def enqueue(self, record: logging.LogRecord) -> None:
        """Put a formatted record into the queue, or count it if there is no room; called with the handler's lock."""
        if self._listener is None:
            listener = QueueListener(self.queue, self._output)
            listener.start()
            self._listener = listener
        if self._accepted - self._output.written >= MOST_WAITING:
            self._left_out += 1
            return
        self._put_gap()
        self._put(record)

    def flush(self) -> None:
        """Wait until everything is written, FLUSH_S at most."""
        end_s = time.monotonic() + FLUSH_S
        self.acquire()
        try:
            self._put_gap()
        finally:
            self.release()
        while self._output.written < self._accepted and time.monotonic() < end_s:
            time.sleep(0.001)

    def _forget(self) -> None:
        """Start with an empty queue and no thread; a forked child leaves both to its parent."""
        self.queue = queue.SimpleQueue()
        self._output = _DescriptorHandler(self._descriptor, self._encoding)
        self._listener = None
        self._left_out = self._accepted = 0

    def _put(self, record: logging.LogRecord) -> None:
        self._accepted += len(record.msg)
        self.queue.put_nowait(record)

    def _put_gap(self) -> None:
        """Say at their place in the log how many lines were left out."""
        if self._left_out:
            text, lines = "%d lines are left out here: nobody took them in time", self._left_out
            self._put(self.prepare(logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, (lines,), None)))
            self._left_out = 0


class _DescriptorHandler(logging.Handler):
    """Writes to a file descriptor; not by way of `sys.stderr`, whose lock the interpreter needs when it ends."""

    def __init__(self, descriptor: int, encoding: str) -> None:
        super().__init__()
        self._descriptor, self._encoding = descriptor, encoding
        #: characters of all records that are written or thrown away
        self.written = 0

    def createLock(self) -> None:  # noqa: N802 - the name is logging's
        """Have no lock: one thread writes, and at the end of the process nobody must wait for a write that hangs."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._write(f"{record.msg}\n".encode(self._encoding, "replace"))
        finally:
            self.written += len(record.msg)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:  # another process that has the descriptor has made it non-blocking
                select.select([], [self._descriptor], [])
            except OSError as error:
                if error.errno not in _FULL:
                    return
                time.sleep(ROOM_S)
