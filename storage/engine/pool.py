"""A few connections shared by many threads, one operation at a time."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable
from typing import Any

from ..errors import StoreUnavailable


class Pool:
    """At most `size` connections, each opened when first needed. While all are in use, threads wait in line.

    The connection that came back last is used first, so that a program with one thread needs only one.
    """

    def __init__(self, connect: Callable[[], Any], size: int) -> None:
        self._connect = connect
        self._closed = False
        self._out: set[Any] = set()
        self._idle: deque[Any] = deque()
        self._places: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(size):
            self._places.put(None)

    def take(self) -> Any:
        """Return a connection for this thread alone. StoreUnavailable once closed."""
        self._places.get()
        try:
            connection = self._latest() or self._open()
        except BaseException:
            self._places.put(None)
            raise
        self._out.add(connection)
        return connection

    def give(self, connection: Any) -> None:
        """Hand a connection back."""
        self._out.discard(connection)
        self._idle.append(connection)
        self._places.put(None)
        if self._closed:
            self.close_idle()

    def discard(self, connection: Any) -> None:
        """Hand back a broken connection, and close the idle ones too: the server has most likely gone."""
        self._out.discard(connection)
        connection.close()
        self._places.put(None)
        self.close_idle()

    def out(self) -> list[Any]:
        """Return the connections that are in use."""
        return list(self._out.copy())  # copied in one step of the interpreter, since others change the set

    def close(self) -> None:
        """Close the idle connections now, and the others when they come back."""
        self._closed = True
        self.close_idle()

    def close_idle(self) -> None:
        """Close the connections that are not in use."""
        while (connection := self._latest()) is not None:
            connection.close()

    # Helpers

    def _latest(self) -> Any | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _open(self) -> Any:
        if self._closed:
            raise StoreUnavailable("the database was closed")
        return self._connect()
