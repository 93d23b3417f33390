"""A few connections shared by many threads, one operation at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from .errors import StoreUnavailable


class Pool:
    """At most `size` connections, opened when first needed; the last one used goes out first: its caches are warm."""

    def __init__(self, connect: Callable[[], Any], size: int) -> None:
        self._connect = connect
        self._slots = threading.Semaphore(size)
        self._lock = threading.Lock()
        self._idle: list[Any] = []
        self._closed = False

    def take(self) -> Any:
        """A connection for this thread alone; waits while all are out. StoreUnavailable once closed."""
        self._slots.acquire()
        try:
            return self._idle_one() or self._connect()
        except BaseException:
            self._slots.release()
            raise

    def give(self, connection: Any) -> None:
        """Hand a connection back."""
        with self._lock:
            if self._closed:
                connection.close()
            else:
                self._idle.append(connection)
        self._slots.release()

    def discard(self, connection: Any) -> None:
        """Hand back a broken connection: it is closed, and the next taker gets a fresh one."""
        connection.close()
        self._slots.release()

    def close(self) -> None:
        """Close what is idle now, and what is out when it comes back."""
        with self._lock:
            self._closed = True
            while self._idle:
                self._idle.pop().close()

    def _idle_one(self) -> Any | None:
        with self._lock:
            if self._closed:
                raise StoreUnavailable("the database was closed")
            return self._idle.pop() if self._idle else None
