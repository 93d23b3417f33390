"""The control socket of a running system: one line of JSON each way; only its owner may use it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...storage import private
from ..errors import MachineError
from ..sockets import unix_socket
from .lock_file import LockFile
from .system import Request

log = logging.getLogger(__name__)

MAX_LINE = 64 * 1024

#: seconds between two checks that lock and socket exist; programs that clean /tmp remove old files
LOOK_S = 1.0


class NotUp(MachineError):
    """No system of this manifest is up."""


@dataclass(frozen=True, slots=True)
class Address:
    """Paths of the socket and the lock of a system; they depend only on the path of its manifest."""

    socket: Path
    lock: Path

    @classmethod
    def of(cls, manifest: Path, control_prefix: str) -> Address:
        """Return the address of a manifest. Raises MachineError if the socket's path would be too long."""
        digest = hashlib.sha256(os.fsencode(manifest)).hexdigest()[:12]
        base = f"{control_prefix}.system-{digest}"
        if len(os.fsencode(f"{base}.sock")) > unix_socket.MAX_PATH:
            raise MachineError(
                f"{base}.sock: a socket path has at most {unix_socket.MAX_PATH} bytes; shorten the prefix"
            )
        return cls(Path(f"{base}.sock"), Path(f"{base}.lock"))


class ControlServer:
    """The system's end of the socket. One process at a time holds it, so that no second system starts."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock = LockFile(address.lock)
        self._changing = threading.Lock()
        self._listener: socket.socket | None = None
        self._inode = 0
        self._problem: str | None = None
        self._over = threading.Event()

    def take(self) -> bool:
        """Claim the address and remove what a killed holder left; False if another process holds it."""
        private.check(self._address.socket, unix_socket.OTHER_PLACE)
        if not self._lock.take():
            return False
        self._address.socket.unlink(missing_ok=True)
        return True

    def serve(self, ask: Callable[[Request], None]) -> None:
        """Pass requests to `ask`, from threads of their own."""
        self._bind()
        threading.Thread(target=self._accept, args=(ask,), name="sm-control-server", daemon=True).start()

    def release(self) -> None:
        """Remove socket and lock; idempotent."""
        self._over.set()
        with self._changing:
            listener, self._listener = self._listener, None
            if listener is not None:
                if unix_socket.is_in_place(self._address.socket, self._inode):
                    self._address.socket.unlink(missing_ok=True)
                listener.close()
            self._lock.release()

    def _bind(self) -> None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            os.fchmod(listener.fileno(), private.FILE)
            unix_socket.put_at(listener, self._address.socket)
            listener.listen()
            listener.settimeout(LOOK_S)
            self._inode = self._address.socket.stat().st_ino
        except BaseException:
            listener.close()
            raise
        self._listener = listener

    def _accept(self, ask: Callable[[Request], None]) -> None:
        while (listener := self._listener) is not None:
            try:
                connection, _ = listener.accept()
                threading.Thread(target=_answer, args=(connection, ask), name="sm-control", daemon=True).start()
            except TimeoutError:
                self._look()
            except (OSError, RuntimeError) as error:  # no descriptor or thread is left, or it was released
                if not self._over.wait(LOOK_S):
                    log.error("a request to the system cannot be taken: %s", error)

    def _look(self) -> None:
        """Bind the socket again if its file was removed and no other process has taken the address."""
        with self._changing:
            old = self._listener
            try:
                if old is None or not self._lock.keep() or unix_socket.is_in_place(self._address.socket, self._inode):
                    return
                self._address.socket.unlink(missing_ok=True)
                self._bind()
            except OSError as error:
                if str(error) != self._problem:
                    log.error("the system cannot be reached: its control socket cannot be bound: %s", error)
                self._problem = str(error)
                return
            old.close()
            self._problem = None
            log.warning("the system's control socket was gone; %s is bound again", self._address.socket)


def ask(address: Address, what: str, name: str = "", *, timeout_s: float | None = None) -> dict[str, Any]:
    """Send a request to the system and return its answer; {} if the system ends without an answer.

    Raises NotUp if none is up, NotOurs if another user listens there, TimeoutError after `timeout_s` seconds.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            unix_socket.connect(connection, address.socket)
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotUp from None
        with contextlib.suppress(ConnectionError):
            connection.sendall(json.dumps({"what": what, "name": name}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer: dict[str, Any] = json.loads(lines.readline() or b"{}")
                return answer
    return {}


def _answer(connection: socket.socket, ask: Callable[[Request], None]) -> None:
    """Serve one request; a client that leaves early causes no error."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError), connection:
        with connection.makefile("rb") as lines:
            asked = json.loads(lines.readline(MAX_LINE))
        request = Request(str(asked["what"]), str(asked["name"]))
        ask(request)
        connection.sendall(json.dumps(request.reply.get()).encode() + b"\n")
