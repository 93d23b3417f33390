"""Finds the user at the other end of a loopback connection; any user of the computer can reach a port there."""

from __future__ import annotations

import errno
import logging
import os
import socket
import struct
from collections import defaultdict
from contextlib import suppress
from typing import Any

from ..actors.metrics.outage import RateLimit
from ..storage import private

log = logging.getLogger(__name__)

REMEDY = "Start statemachine-ui with --shared to let all users of this computer in, or --token for those who know it"

# The kernel's socket diagnosis (man 7 sock_diag) answers for one connection, without listing all.
_NETLINK_SOCK_DIAG, _BY_FAMILY, _REQUEST = 4, 20, 1
_HEADER = struct.Struct("=IHHII")
_QUESTION = struct.Struct("=BBBxI2s2s16s16sI8s")
_ANSWER = struct.Struct("=BBxx2s2s16s16sI8sIIIII")
_ANY_STATE, _NO_COOKIE = 0xFFFFFFFF, b"\xff" * 8


class OwnUsersListener:
    """A listening socket that accepts only connections of our own user and of root; it replaces gunicorn's.

    Another user is refused before anything that he sends is read, so he uses no thread of the server.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection; after refusing one, raise BlockingIOError, as if none had come."""
        sock, address = self._listener.accept()
        uid = uid_of(sock)
        if uid is not None and private.is_trusted(uid):
            return sock, address
        _turn_away(sock, "a process elsewhere" if uid is None else private.user(uid))
        raise BlockingIOError(errno.EAGAIN, "turned away")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)


def uid_of(sock: socket.socket) -> int | None:
    """Return the user of the process at the other end; None if no process of this host has it."""
    try:
        theirs, ours = sock.getpeername(), sock.getsockname()
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
            kernel.send(_question(sock.family, theirs, ours))
            reply = kernel.recv(4096)
    except OSError:
        return None
    if _HEADER.unpack_from(reply)[1] != _BY_FAMILY:
        return None
    _, _, source, destination, *_, uid, inode = _ANSWER.unpack_from(reply, _HEADER.size)
    if (source, destination) != (_port(theirs), _port(ours)):
        return None  # without such a connection the kernel returns a listening socket
    return int(uid) if inode else None  # a socket that its process has closed has uid 0 and no inode


def can_tell() -> bool:
    """Return True if this system tells users of connections; tested with a connection of our own."""
    with (
        suppress(OSError),
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()),
        server.accept()[0] as ours,
    ):
        return uid_of(ours) == os.geteuid()
    return False


# Helpers

#: limits log lines for each refused user
_log_limits: defaultdict[str, RateLimit] = defaultdict(RateLimit)


def _question(family: int, theirs: Any, ours: Any) -> bytes:
    """Return a query for the socket that has these two addresses."""
    ends = (_port(theirs), _port(ours), _address(family, theirs), _address(family, ours))
    question = _QUESTION.pack(family, socket.IPPROTO_TCP, 0, _ANY_STATE, *ends, 0, _NO_COOKIE)
    return _HEADER.pack(_HEADER.size + len(question), _BY_FAMILY, _REQUEST, 0, 0) + question


def _port(address: Any) -> bytes:
    return struct.pack("!H", address[1])


def _address(family: int, address: Any) -> bytes:
    return socket.inet_pton(family, address[0].partition("%")[0]).ljust(16, b"\0")


def _turn_away(sock: socket.socket, who: str) -> None:
    reason = f"This page is for {private.user(os.geteuid())} alone, and this is {who}. {REMEDY}.\n"
    if _log_limits[who].due():
        log.warning("a connection was turned away. %s", reason.strip())
    head = f"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: {len(reason)}\r\n"
    with sock, suppress(OSError):
        sock.setblocking(False)
        sock.send(f"{head}Connection: close\r\n\r\n{reason}".encode())
        sock.shutdown(socket.SHUT_WR)
        sock.recv(65536)  # with unread data left, the kernel would discard the answer
