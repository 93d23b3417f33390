"""Sends audit events to the event socket; a slow, dead or absent reader never delays anything."""

from __future__ import annotations

import errno
import logging
import socket
import time
from collections.abc import Iterable, Mapping
from typing import Any

from ...storage.errors import NotOurs
from ..sockets import datagrams, unix_socket

log = logging.getLogger(__name__)

#: seconds until an absent reader is looked for again
LOOK_AGAIN_S = 1.0


class Publisher:
    """One connected datagram socket, used by one thread.

    Events that the reader did not take are dropped and counted; the audit log has them all, by id.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.dropped = 0
        self._sock: socket.socket | None = None
        self._look_again_at_s = 0.0
        self._warned = False

    @property
    def has_reader(self) -> bool:
        """True if somebody listens; while nobody does, the socket is tried once a second."""
        return (self._sock or self._connect()) is not None

    def publish(self, envelopes: Iterable[Mapping[str, Any]]) -> None:
        """Send each envelope as one datagram, or count it as dropped."""
        for envelope in envelopes:
            if not self._send(envelope):
                self.dropped += 1

    def close(self) -> None:
        """Close the socket; idempotent."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _send(self, envelope: Mapping[str, Any]) -> bool:
        sock = self._sock or self._connect()
        if sock is None:
            return False
        try:
            sock.send(datagrams.encode(envelope))
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                self.close()
            return False
        return True

    def _connect(self) -> socket.socket | None:
        now_s = time.monotonic()
        if now_s < self._look_again_at_s:
            return None
        self._look_again_at_s = now_s + LOOK_AGAIN_S
        try:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        except OSError:  # no file descriptor is left
            return None
        sock.setblocking(False)
        try:
            unix_socket.connect(sock, self.path)
        except OSError as error:
            sock.close()
            if isinstance(error, NotOurs) and not self._warned:
                log.warning("nothing is published: %s", error)
                self._warned = True
            return None
        self._sock = sock
        return sock
