"""Whose the other end of a connection on the loopback is: any user of the computer can reach a port there."""

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

# The kernel's socket diagnosis (man 7 sock_diag): one question about one connection, whatever number there are.
_NETLINK_SOCK_DIAG, _BY_FAMILY, _REQUEST = 4, 20, 1
_HEADER = struct.Struct("=IHHII")
_QUESTION = struct.Struct("=BBBxI2s2s16s16sI8s")
_ANSWER = struct.Struct("=BBxx2s2s16s16sI8sIIIII")
_ANY_STATE, _NO_COOKIE = 0xFFFFFFFF, b"\xff" * 8


class Door:
    """A listening socket that lets in connections of our own user and of root alone; stands in for it in gunicorn.

    A stranger is turned away before anything that he sends is read: he takes none of the server's threads.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener

    def accept(self) -> tuple[socket.socket, Any]:
        """As the socket's own; BlockingIOError, as if nobody had come, after a stranger."""
        sock, address = self._listener.accept()
        uid = uid_of(sock)
        if uid is not None and private.is_trusted(uid):
            return sock, address
        _turn_away(sock, "a process elsewhere" if uid is None else private.user(uid))
        raise BlockingIOError(errno.EAGAIN, "turned away")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)


def uid_of(sock: socket.socket) -> int | None:
    """The user whose process holds the other end of a TCP connection; None if none here does any more."""
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
        return None  # a listening socket, which is what the kernel offers where there is no such connection
    return int(uid) if inode else None  # one that its process has left counts as root's


def can_tell() -> bool:
    """Whether this system says whose connections are: asked about one of our own."""
    with (
        suppress(OSError),
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()),
        server.accept()[0] as ours,
    ):
        return uid_of(ours) == os.geteuid()
    return False


# Helpers

#: whoever knocks all the time must not flood the log
_rarely: defaultdict[str, RateLimit] = defaultdict(RateLimit)


def _question(family: int, theirs: Any, ours: Any) -> bytes:
    """Which socket has this address of its own, and is connected to that one?"""
    ends = (_port(theirs), _port(ours), _address(family, theirs), _address(family, ours))
    question = _QUESTION.pack(family, socket.IPPROTO_TCP, 0, _ANY_STATE, *ends, 0, _NO_COOKIE)
    return _HEADER.pack(_HEADER.size + len(question), _BY_FAMILY, _REQUEST, 0, 0) + question


def _port(address: Any) -> bytes:
    return struct.pack("!H", address[1])


def _address(family: int, address: Any) -> bytes:
    return socket.inet_pton(family, address[0].partition("%")[0]).ljust(16, b"\0")


def _turn_away(sock: socket.socket, who: str) -> None:
    reason = f"This page is for {private.user(os.geteuid())} alone, and this is {who}. {REMEDY}.\n"
    if _rarely[who].due():
        log.warning("a connection was turned away. %s", reason.strip())
    head = f"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: {len(reason)}\r\n"
    with sock, suppress(OSError):
        sock.setblocking(False)
        sock.send(f"{head}Connection: close\r\n\r\n{reason}".encode())
        sock.shutdown(socket.SHUT_WR)
        sock.recv(65536)  # what is left unread would make the kernel take the answer back
