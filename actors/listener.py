"""The thread that reads one machine's control socket."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..storage import private
from . import wire
from .messages import Bell, Incoming

if TYPE_CHECKING:
    from ..storage.clock import Clock

log = logging.getLogger(__name__)

#: seconds between two warnings of refused datagrams: whoever floods the socket must not flood the log
QUIET_S = 60.0


class Listener:
    """Decodes datagrams and hands them on; what is no message is refused, counted and logged.

    `deliver` may block: then the kernel's queue fills and holds the senders back.
    """

    def __init__(
        self, path: Path, *, name: str, clock: Clock, deliver: Callable[[Incoming], None], ring: Callable[[Bell], None]
    ) -> None:
        self.path = path
        #: datagrams that were no message
        self.refused = 0
        self._name = name
        self._clock = clock
        self._deliver = deliver
        self._ring = ring
        self._sock: socket.socket | None = None
        self._inode = 0
        self._thread: threading.Thread | None = None
        self._warn_again_at_s = 0.0

    def open(self) -> None:
        """Bind the socket; OSError when somebody else listens there."""
        self._sock = wire.bind(self.path)
        self._inode = self.path.stat().st_ino

    def start(self) -> None:
        """Start the thread, which ends at once if a machine that ended at once has stopped it before."""
        thread = threading.Thread(target=self._run, name=f"sm-listen-{self._name}", daemon=True)
        thread.start()
        self._thread = thread  # not before: stop() in another thread could not join it yet

    def stop(self) -> None:
        """Close the socket, remove its file if it is still ours, and end the thread; idempotent."""
        sock, self._sock = self._sock, None
        if sock is None:
            return
        with contextlib.suppress(OSError):
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(5.0)
        sock.close()

    def _run(self) -> None:
        sock, buffer = self._sock, wire.buffer()
        while sock is not None and self._sock is sock:
            try:
                data, sender = wire.receive(sock, buffer)
            except OSError as error:
                if self._sock is sock:
                    log.error("%s: cannot read %s: %s", self._name, self.path, error)
                return
            if self._sock is not sock:
                return
            try:
                self._take(data, sender)
            except Exception:
                log.exception("%s: cannot hand a datagram on", self._name)

    def _take(self, data: bytes, sender: int) -> None:
        try:
            if not private.is_trusted(sender):
                raise wire.MalformedMessage(f"sent by {private.user(sender)}")
            message = wire.decode(data, self._clock.now())
        except wire.MalformedMessage as error:
            self._refuse(len(data), error)
            return
        if isinstance(message, Bell):
            self._ring(message)
        else:
            self._deliver(message)

    def _refuse(self, size: int, error: wire.MalformedMessage) -> None:
        self.refused += 1
        now_s = time.monotonic()
        loud = now_s >= self._warn_again_at_s
        if loud:
            self._warn_again_at_s = now_s + QUIET_S
        level = logging.WARNING if loud else logging.DEBUG
        log.log(level, "%s: refused a datagram of %d bytes (%d so far): %s", self._name, size, self.refused, error)
