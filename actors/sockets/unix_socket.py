"""Unix datagram sockets: their paths, their permissions, and sending and receiving bytes."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import socket
import stat
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...storage import private
from ..errors import MachineError
from .datagrams import MAX_DATAGRAM, encode

DEFAULT_CONTROL_PREFIX = "/tmp/statemachine-control"
DEFAULT_EVENT_SOCKET = "/tmp/statemachine-events.sock"

#: prefix of the folders of hidden sockets; they have mode 0700
HIDDEN = "statemachine-hidden-"

#: bytes of a Unix socket path on Linux, without the final NUL
MAX_PATH = 107

OTHER_PLACE = "remove it if you may, or choose another place by --control-socket-prefix and --event-socket-path"

#: pid, uid, gid
_CREDENTIALS = struct.Struct("3i")
_CREDENTIALS_SPACE = socket.CMSG_SPACE(_CREDENTIALS.size)


class SocketPathTooLong(MachineError):
    """A control socket's path that is too long for a Unix socket address."""


def control_prefix(given: str | None = None) -> str:
    """Return the prefix of control sockets: the given one, $STATEMACHINE_CONTROL_PREFIX or the default."""
    return given or os.environ.get("STATEMACHINE_CONTROL_PREFIX") or DEFAULT_CONTROL_PREFIX


def event_socket(given: str | None = None) -> str:
    """Return the path of the event socket: the given one, $STATEMACHINE_EVENT_SOCKET or the default."""
    return given or os.environ.get("STATEMACHINE_EVENT_SOCKET") or DEFAULT_EVENT_SOCKET


def control_path(prefix: str, name: str) -> Path:
    """Return the path of a machine's control socket. Raises SocketPathTooLong, which names the remedy."""
    path = f"{prefix}-{name}.sock"
    if len(os.fsencode(path)) > MAX_PATH:
        msg = f"{path}: a socket path has at most {MAX_PATH} bytes; shorten the machine name or the prefix"
        raise SocketPathTooLong(msg)
    return Path(path)


def hidden_path() -> Path:
    """Return a path in a new private folder, for a machine whose usual path belongs to another user."""
    import tempfile  # takes 9 ms of the 100 that a command takes

    return Path(tempfile.mkdtemp(prefix=HIDDEN)) / "control.sock"


def send_message(path: Path | str, message: Mapping[str, Any], timeout_s: float = 2.0) -> bool:
    """Send a message as one datagram; return False if it is too large or was not taken within `timeout_s` seconds.

    The receiver then finds the event in its mailbox, or in the audit log.
    """
    data = encode(message)
    return len(data) <= MAX_DATAGRAM and send(path, data, timeout_s)


def send(path: Path | str, data: bytes, timeout_s: float, *, only_if: Callable[[], bool] = lambda: True) -> bool:
    """Send bytes as one datagram; return False if nobody took them within `timeout_s` seconds.

    `only_if` is called once the connection is made; a socket that is bound there later receives nothing.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MAX_DATAGRAM)
        sock.settimeout(timeout_s)
        try:
            connect(sock, path)
            if not only_if():
                return False
            sock.send(data)
        except OSError:
            return False
    return True


def buffer() -> mmap.mmap:
    """Return a buffer for `receive` with room for the largest datagram; only its used pages take memory."""
    return mmap.mmap(-1, MAX_DATAGRAM + 1)


def receive(sock: socket.socket, into: mmap.mmap) -> tuple[bytes, int]:
    """Return the next datagram of a socket from `bind`, and the sender's uid (-1 if the kernel gives none).

    The uid takes 1.2 us of the 70 us that an event takes in all.
    """
    size, ancillary, _flags, _sender = sock.recvmsg_into([into], _CREDENTIALS_SPACE)
    sender = _CREDENTIALS.unpack(ancillary[0][2])[1] if ancillary else -1
    return into[:size], sender


def connect(sock: socket.socket, path: Path | str) -> None:
    """Connect to the socket at `path`. Raises OSError, and NotOurs for another user's socket, who could read along.

    The path is opened once, so that the checked file is the one that is connected to.
    """
    file = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        private.check_status(os.fstat(file), path, OTHER_PLACE)
        sock.connect(f"/proc/self/fd/{file}")
    finally:
        os.close(file)


def put_at(sock: socket.socket, path: Path) -> None:
    """Bind the socket. Raises OSError with the path, which the system's own error lacks."""
    try:
        sock.bind(str(path))
    except OSError as error:
        error.filename = str(path)
        raise


def bind(path: Path) -> socket.socket:
    """Return a datagram socket bound at `path` for its owner alone; replace a socket file that nobody listens at.

    Raises OSError(EADDRINUSE) if a process listens there, NotOurs if the file belongs to another user.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        private.check(path, OTHER_PLACE)
        if is_listening(path):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), str(path))
        if is_socket(path):
            path.unlink(missing_ok=True)
        os.fchmod(sock.fileno(), private.FILE)  # before bind, so that the file never has another mode
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)  # before anything can arrive
        put_at(sock, path)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * MAX_DATAGRAM)
    except BaseException:
        sock.close()
        raise
    return sock


def remove(path: Path) -> None:
    """Remove a closed socket's file, and the private folder that was made for it."""
    path.unlink(missing_ok=True)
    if path.parent.name.startswith(HIDDEN):
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def is_socket(path: Path) -> bool:
    """Return True if `path` itself is a socket; links are not followed, since their target is not ours to remove."""
    try:
        return stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:
        return False


def is_in_place(path: Path, inode: int) -> bool:
    """Return True if the file that was bound at `path` is still there and was not replaced."""
    with contextlib.suppress(OSError):
        return path.stat().st_ino == inode
    return False


def is_listening(path: Path) -> bool:
    """Return True if a process has a socket bound at `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(str(path))
        except OSError as error:
            return error.errno == errno.EPROTOTYPE  # a socket of another type is in use as well
    return True
