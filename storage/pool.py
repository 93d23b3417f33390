"""A few connections shared by many threads, one operation at a time."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

from .errors import StoreUnavailable


class Pool:
    """At most `size` connections, each opened when first needed; who finds all of them out waits in line."""

    def __init__(self, connect: Callable[[], Any], size: int) -> None:
        self._connect = connect
        self._closed = False
        self._out: set[Any] = set()
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(size):
            self._free.put(None)  # a place whose connection is yet to be opened

    def take(self) -> Any:
        """A connection for this thread alone. StoreUnavailable once closed."""
        connection = self._free.get()
        if connection is None:
            try:
                if self._closed:
                    raise StoreUnavailable("the database was closed")
                connection = self._connect()
            except BaseException:
                self._free.put(None)
                raise
        self._out.add(connection)
        return connection

    def give(self, connection: Any) -> None:
        """Hand a connection back."""
        self._out.discard(connection)
        self._free.put(connection)
        if self._closed:
            self.close_idle()

    def discard(self, connection: Any) -> None:
        """Hand back a broken connection; the others of its age go with it, for the server has most likely gone."""
        self._out.discard(connection)
        connection.close()
        self._free.put(None)
        self.close_idle()

    def out(self) -> list[Any]:
        """The connections that somebody uses at this moment."""
        return list(self._out.copy())  # the copy is one step of the interpreter

    def close(self) -> None:
        """Close what is idle now, and what is out when it comes back."""
        self._closed = True
        self.close_idle()

    def close_idle(self) -> None:
        """Close the connections that nobody uses."""
        places = 0
        while True:
            try:
                connection = self._free.get_nowait()
            except queue.Empty:
                break
            places += 1
            if connection is not None:
                connection.close()
        for _ in range(places):
            self._free.put(None)
