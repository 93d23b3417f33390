"""The thread that reads one machine's control socket."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ...storage import private
from ..concurrency.supervised_thread import SupervisedThread
from ..metrics.outage import RateLimit
from . import datagrams, unix_socket
from .messages import EventMessage, Notification

if TYPE_CHECKING:
    from ...storage.clock import Clock
    from ..metrics.counters import Counters

log = logging.getLogger(__name__)


class Listener:
    """Reads a control socket and passes its messages on; other datagrams are refused, counted and logged."""

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        clock: Clock,
        counters: Counters,
        on_event: Callable[[EventMessage], None],
        on_notification: Callable[[Notification], None],
        given_up: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_event` may block: the kernel's queue then fills and holds the senders back.

        `given_up` is called, after the socket was removed, when the thread has crashed too often.
        """
        self.path = path
        #: number of refused datagrams
        self.refused = 0
        self._name = name
        self._clock = clock
        self._counters = counters
        self._on_event, self._on_notification = on_event, on_notification
        self._on_given_up = given_up
        self._lock = threading.Lock()  # for `_sock`: maintenance may bind it again while the machine ends
        self._sock: socket.socket | None = None
        self._inode = 0
        self._thread = SupervisedThread(
            f"sm-listen-{name}", self._run, crashed=lambda: counters.add("listener_crashed"), given_up=self._give_up
        )
        self._refusals = RateLimit()
        self._problem: str | None = None

    def open(self) -> None:
        """Bind the socket. Raises OSError if another process listens there."""
        sock = unix_socket.bind(self.path)
        self._sock, self._inode = sock, os.stat(self.path).st_ino

    def start(self) -> None:
        """Start the thread; it ends at once if the listener was stopped before."""
        self._thread.start()

    def stop(self) -> None:
        """Close the socket, remove its file if it is still ours, and end the thread; idempotent."""
        with self._lock:
            sock, self._sock = self._sock, None
        if sock is None:
            return
        if unix_socket.is_in_place(self.path, self._inode):
            unix_socket.remove(self.path)
        _shut(sock)
        self._thread.join(5.0)
        sock.close()

    def look(self) -> None:
        """Bind the socket again if its file was removed or replaced, for example by a program that cleans /tmp."""
        if unix_socket.is_in_place(self.path, self._inode):
            return
        try:
            with self._lock:
                if self._sock is None:
                    return
                old = self._sock
                self.open()
        except OSError as error:
            self._report(str(error))
            return
        log.warning("%s: its control socket had disappeared; %s is bound again", self._name, self.path)
        if self._problem is None:
            self._counters.add("socket_gone")
        self._problem = None
        _shut(old)

    def _report(self, problem: str) -> None:
        if problem != self._problem:
            log.error("%s: events come by the mailbox: its control socket cannot be bound: %s", self._name, problem)
        if self._problem is None:
            self._counters.add("socket_gone")
        self._problem = problem

    def _run(self) -> None:
        while (sock := self._sock) is not None:
            self._read(sock)
            if self._sock is not sock:
                sock.close()

    def _read(self, sock: socket.socket) -> None:
        """Read until the socket is closed, or until a new one has replaced it and its own queue is empty."""
        buffer = unix_socket.buffer()
        while True:
            try:
                data, sender = unix_socket.receive(sock, buffer)
            except OSError:
                if self._sock is sock:
                    raise
                return
            if self._sock is None or (self._sock is not sock and not data):
                return
            try:
                self._take(data, sender)
            except Exception:
                log.exception("%s: cannot pass a datagram on", self._name)

    def _give_up(self) -> None:
        self.stop()
        self._on_given_up()

    def _take(self, data: bytes, sender: int) -> None:
        try:
            if not private.is_trusted(sender):
                raise datagrams.Stranger(f"sent by {private.user(sender)}")
            message = datagrams.decode(data, self._clock.now())
        except datagrams.MalformedMessage as error:
            self._counters.add("stranger_refused" if isinstance(error, datagrams.Stranger) else "datagram_refused")
            self._refuse(len(data), error)
            return
        if isinstance(message, Notification):
            self._on_notification(message)
        else:
            self._on_event(message)

    def _refuse(self, size: int, error: datagrams.MalformedMessage) -> None:
        self.refused += 1
        level = logging.WARNING if self._refusals.due() else logging.DEBUG  # many of them must not flood the log
        log.log(level, "%s: refused a datagram of %d bytes (%d so far): %s", self._name, size, self.refused, error)


def _shut(sock: socket.socket) -> None:
    """Wake the thread that reads the socket; it still reads what the socket's queue holds."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
