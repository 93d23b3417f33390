"""Requests that have not arrived completely; each holds a thread of the server, so their time is limited."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import Any

#: seconds in which a request must arrive with its body, and the same while many are pending
WHOLE_S, HURRIED_S = 60.0, 2.0


class PendingRequests:
    """gunicorn's connections whose requests are incomplete."""

    def __init__(self, crowd: int) -> None:
        """`crowd`: with more pending requests than this, the shorter time applies."""
        self._crowd = crowd
        self._since: dict[Any, float] = {}

    def begin(self, connection: Any) -> None:
        """Record that a thread waits for the request of this connection."""
        self._since[connection] = time.monotonic()

    def end(self, connection: Any) -> None:
        """Record that the request is complete or will not come; idempotent."""
        self._since.pop(connection, None)

    def disconnect_slow(self) -> None:
        """Stop reading from late connections; to their threads it looks as if the clients had left."""
        arrivals = list(self._since.items())
        patience_s = HURRIED_S if len(arrivals) > self._crowd else WHOLE_S
        for connection, since_s in arrivals:
            if time.monotonic() - since_s > patience_s:
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RD)
