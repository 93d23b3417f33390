"""Unix datagram sockets: where they stand, who may use them, and how bytes go through them."""

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

#: how the folders of hidden sockets are called; of mode 0700
HIDDEN = "statemachine-hidden-"

#: bytes that a Unix socket path may have on Linux, less the final NUL
MAX_PATH = 107

OTHER_PLACE = "remove it if you may, or choose another place by --control-socket-prefix and --event-socket-path"

#: pid, uid, gid
_CREDENTIALS = struct.Struct("3i")
_CREDENTIALS_SPACE = socket.CMSG_SPACE(_CREDENTIALS.size)


class SocketPathTooLong(MachineError):
    """The control socket's path does not fit into a Unix socket address."""


def control_prefix(given: str | None = None) -> str:
    """The prefix of control sockets: what is given, else $STATEMACHINE_CONTROL_PREFIX, else the older engines' one."""
    return given or os.environ.get("STATEMACHINE_CONTROL_PREFIX") or DEFAULT_CONTROL_PREFIX


def event_socket(given: str | None = None) -> str:
    """The event socket's path: what is given, else $STATEMACHINE_EVENT_SOCKET, else the older engines' one."""
    return given or os.environ.get("STATEMACHINE_EVENT_SOCKET") or DEFAULT_EVENT_SOCKET


def control_path(prefix: str, name: str) -> Path:
    """Where machine `name` listens; SocketPathTooLong names the remedy."""
    path = f"{prefix}-{name}.sock"
    if len(os.fsencode(path)) > MAX_PATH:
        msg = f"{path}: a socket path has at most {MAX_PATH} bytes; shorten the machine name or the prefix"
        raise SocketPathTooLong(msg)
    return Path(path)


def hidden_path() -> Path:
    """Where a machine listens if a stranger has its usual place: in a new folder whose name nobody could guess."""
    import tempfile  # 9 ms, of the 100 that a command takes

    return Path(tempfile.mkdtemp(prefix=HIDDEN)) / "control.sock"


def ring(path: Path | str, message: Mapping[str, Any], timeout_s: float = 2.0) -> bool:
    """Send one datagram to a socket.

    False: nobody listens there, it did not fit, or the listener took nothing for `timeout_s` seconds. The row in the
    mailbox is the message, so that is never a loss.
    """
    data = encode(message)
    return len(data) <= MAX_DATAGRAM and send(path, data, timeout_s)


def send(path: Path | str, data: bytes, timeout_s: float, *, only_if: Callable[[], bool] = lambda: True) -> bool:
    """Send bytes as one datagram; False when they could not be handed over within `timeout_s` seconds.

    `only_if` is asked when it is settled which socket is to hear them: one that is bound there later does not.
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
    """What `receive` reads into: room for the largest datagram, of which only what is used takes memory."""
    return mmap.mmap(-1, MAX_DATAGRAM + 1)


def receive(sock: socket.socket, into: mmap.mmap) -> tuple[bytes, int]:
    """The next datagram of a socket that `bind` made, and the uid that the kernel saw sending it (-1: it did not say).

    Asking for the sender takes 1.2 us of the 70 that an event takes in all.
    """
    size, ancillary, _flags, _sender = sock.recvmsg_into([into], _CREDENTIALS_SPACE)
    sender = _CREDENTIALS.unpack(ancillary[0][2])[1] if ancillary else -1
    return into[:size], sender


def connect(sock: socket.socket, path: Path | str) -> None:
    """Connect to the socket at `path`; NotOurs if it is a stranger's, who may have put it there to read along. OSError.

    The file that was looked at is the one that is connected to, whatever takes its name meanwhile.
    """
    file = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        private.check_status(os.fstat(file), path, OTHER_PLACE)
        sock.connect(f"/proc/self/fd/{file}")
    finally:
        os.close(file)


def put_at(sock: socket.socket, path: Path) -> None:
    """Bind it; OSError with the path, which the system's own leaves out."""
    try:
        sock.bind(str(path))
    except OSError as error:
        error.filename = str(path)
        raise


def bind(path: Path) -> socket.socket:
    """A datagram socket at `path`, readable by its owner alone; a dead socket file there is replaced.

    OSError(EADDRINUSE) when somebody listens there, NotOurs when what is there is a stranger's.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        private.check(path, OTHER_PLACE)
        if is_listening(path):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), str(path))
        if is_socket(path):
            path.unlink(missing_ok=True)
        os.fchmod(sock.fileno(), private.FILE)  # the file has it from the first moment
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)  # before anything can arrive
        put_at(sock, path)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * MAX_DATAGRAM)
    except BaseException:
        sock.close()
        raise
    return sock


def remove(path: Path) -> None:
    """Remove the file of a socket that is closed, and the folder that was made for it alone."""
    path.unlink(missing_ok=True)
    if path.parent.name.startswith(HIDDEN):
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def is_socket(path: Path) -> bool:
    """Whether a socket stands at `path` itself; what a link leads to is not ours to remove."""
    try:
        return stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:
        return False


def is_in_place(path: Path, inode: int) -> bool:
    """Whether the file that was bound at `path` is still there, and no other in its stead."""
    with contextlib.suppress(OSError):
        return path.stat().st_ino == inode
    return False


def is_listening(path: Path) -> bool:
    """Whether a process has a socket bound at `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(str(path))
        except OSError as error:
            return error.errno == errno.EPROTOTYPE  # a socket of another kind is somebody's too
    return True
