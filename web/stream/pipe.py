"""The socket of one WebSocket, written by two threads: frames stay whole, and nobody waits for a dead client."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

#: seconds that a client may take nothing before it is given up; it can come back and resume
STALLED_S = 60.0
#: milliseconds between two looks whether the server stops meanwhile
LOOK_MS = 500


class Pipe:
    """Stands in for the socket inside simple_websocket, whose own thread answers pings and closings."""

    def __init__(self, sock: socket.socket, leaving: Callable[[], bool]) -> None:
        self._sock = sock
        self._leaving = leaving
        self._lock = threading.Lock()
        self._rest = b""
        self._flags = 0 if isinstance(sock, ssl.SSLSocket) else socket.MSG_DONTWAIT
        let_go_of_the_dead(sock)

    def send(self, data: bytes) -> int:
        """Send all of it; OSError when the client is gone, takes nothing for too long, or the server stops."""
        with self._lock:
            rest, self._rest = self._rest, b""
            try:
                self._send(memoryview(rest + data))
            except OSError:
                self.hang_up()  # part of a frame may be out: nothing sensible can follow it
                raise
        return len(data)

    def offer(self, data: bytes) -> bool:
        """Take charge of it without waiting: what does not go out at once goes before whatever is sent next.

        False: somebody else is sending, something waits already, or the client is gone.
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
        """Whether something waits to be sent."""
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
                    raise TimeoutError("the client takes nothing") from None
                poll = select.poll()
                poll.register(self._sock, select.POLLOUT)
                poll.poll(LOOK_MS)


def let_go_of_the_dead(sock: socket.socket) -> None:
    """Let the kernel notice a client whose computer has vanished, or that takes nothing."""
    options = (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", None), 30),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_USER_TIMEOUT", None), int(STALLED_S * 1000)),
    )
    for level, option, value in options:
        if option is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(level, option, value)
