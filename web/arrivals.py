"""Requests on their way in: each holds a thread of the server, so none may take its time for ever."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import Any

#: seconds until a request has to be there, its body included; and while there is a crowd
WHOLE_S, HURRIED_S = 60.0, 2.0


class Arrivals:
    """gunicorn's connections whose requests are not whole yet."""

    def __init__(self, crowd: int) -> None:
        """`crowd`: with more at a time, each is in a hurry."""
        self._crowd = crowd
        self._since: dict[Any, float] = {}

    def begin(self, connection: Any) -> None:
        """A thread waits for its request from now on."""
        self._since[connection] = time.monotonic()

    def end(self, connection: Any) -> None:
        """It is whole, or will not come; idempotent."""
        self._since.pop(connection, None)

    def hang_up_on_the_slow(self) -> None:
        """Read no more from those that are late, which looks to their threads as if the clients had left."""
        arrivals = list(self._since.items())
        patience_s = HURRIED_S if len(arrivals) > self._crowd else WHOLE_S
        for connection, since_s in arrivals:
            if time.monotonic() - since_s > patience_s:
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RD)
