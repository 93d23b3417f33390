"""The event socket of a reader of the audit log: it wakes the reader when machines publish."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from pathlib import Path

from ..sockets import unix_socket

#: seconds until the socket is tried again while another reader has it
TRY_AGAIN_S = 1.0


class EventSocket:
    """Wakes its reader while no other reader has the socket; otherwise `wait` is a plain sleep. For one thread.

    Only one process can bind the path. Other readers lose nothing: they look into the database by themselves.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.stopped = False
        self._sock: socket.socket | None = None
        self._inode = 0
        self._try_again_at_s = 0.0
        self._woken, self._waker = socket.socketpair()
        self._waker.setblocking(False)

    @property
    def bound(self) -> bool:
        """True while this reader has the socket."""
        return self._sock is not None

    def wait(self, timeout_s: float) -> None:
        """Return when a datagram arrives, when `stop` is called, or after `timeout_s` seconds."""
        self._hold()
        sources = [self._woken] if self._sock is None else [self._woken, self._sock]
        for source in select.select(sources, [], [], max(0.0, timeout_s))[0]:
            _empty(source)

    def stop(self) -> None:
        """Set `stopped` and make `wait` return; from any thread or signal handler."""
        self.stopped = True
        with contextlib.suppress(OSError):
            self._waker.send(b".")

    def close(self) -> None:
        """Leave the socket to others; idempotent."""
        self._leave()
        self._woken.close()
        self._waker.close()

    def _hold(self) -> None:
        """Check each TRY_AGAIN_S that the socket is still ours, and bind it if nobody has it."""
        now_s = time.monotonic()
        if now_s < self._try_again_at_s:
            return
        self._try_again_at_s = now_s + TRY_AGAIN_S
        if self._sock is not None and not unix_socket.is_in_place(self.path, self._inode):
            self._leave()
        if self._sock is None:
            with contextlib.suppress(OSError):
                self._sock = unix_socket.bind(self.path)
                self._inode = self.path.stat().st_ino

    def _leave(self) -> None:
        sock, self._sock = self._sock, None
        if sock is None:
            return
        if unix_socket.is_in_place(self.path, self._inode):
            self.path.unlink(missing_ok=True)
        sock.close()


def _empty(source: socket.socket) -> None:
    """Discard all datagrams that wait: one look into the database answers them all."""
    with contextlib.suppress(BlockingIOError):
        while source.recv(1, socket.MSG_DONTWAIT):
            pass
