"""The socket of one WebSocket, written by two threads; frames stay whole, and no thread waits for a dead client."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

#: seconds without reading after which a client is disconnected; it can reconnect and resume
STALLED_S = 60.0
#: milliseconds between two checks whether the server stops
LOOK_MS = 500


class Pipe:
    """Replaces the socket inside simple_websocket, whose own thread answers pings and closings."""

    def __init__(self, sock: socket.socket, leaving: Callable[[], bool]) -> None:
        self._sock = sock
        self._leaving = leaving
        self._lock = threading.Lock()
        self._rest = b""
        self._flags = 0 if isinstance(sock, ssl.SSLSocket) else socket.MSG_DONTWAIT
        close_if_dead(sock)

    def send(self, data: bytes) -> int:
        """Send all of it. Raises OSError when the client is gone or reads nothing for too long, or the server stops."""
        with self._lock:
            rest, self._rest = self._rest, b""
            try:
                self._send(memoryview(rest + data))
            except OSError:
                self.hang_up()  # part of a frame may be sent, so nothing can follow
                raise
        return len(data)

    def offer(self, data: bytes) -> bool:
        """Send without waiting; the rest is sent before the next data.

        Returns False if another thread is sending, a rest is left, or the client is gone.
        """
        if not self._flags or not self._lock.acquire(blocking=False):
            return False
        try:
            if self._rest:
                return False
            self._rest = data[self._sock.send(data, self._flags) :]
        except BlockingIOError:
            return False
        except OSError:
            self.hang_up()
            return False
        finally:
            self._lock.release()
        return True

    @property
    def is_full(self) -> bool:
        """True if a rest waits to be sent."""
        return bool(self._rest)

    def hang_up(self) -> None:
        """End the connection, so that the thread that reads from it ends too."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def _send(self, rest: memoryview) -> None:
        give_up_s = time.monotonic() + STALLED_S
        while rest:
            try:
                rest = rest[self._sock.send(rest, self._flags) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                if self._leaving() or time.monotonic() > give_up_s:
                    raise TimeoutError("the client reads nothing") from None
                poll = select.poll()
                poll.register(self._sock, select.POLLOUT)
                poll.poll(LOOK_MS)


def close_if_dead(sock: socket.socket) -> None:
    """Make the kernel close the connection of a client that has vanished or reads nothing."""
    options = (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", None), 30),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_USER_TIMEOUT", None), int(STALLED_S * 1000)),
    )
    for level, option, value in options:
        if option is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(level, option, value)
