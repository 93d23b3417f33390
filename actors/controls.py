"""How other processes talk to a running system: one line of JSON each way, on a socket that only its owner may use."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..storage import private
from . import wire
from .errors import MachineError
from .lockfile import LockFile
from .system import Request

MAX_LINE = 64 * 1024


class NotUp(MachineError):
    """No system of this manifest is up."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the system of one manifest is found; the manifest's path alone decides, whatever stands in it."""

    socket: Path
    lock: Path

    @classmethod
    def of(cls, manifest: Path, control_prefix: str) -> Address:
        """MachineError when the prefix is too long for a socket's path."""
        digest = hashlib.sha256(os.fsencode(manifest)).hexdigest()[:12]
        base = f"{control_prefix}.system-{digest}"
        if len(os.fsencode(f"{base}.sock")) > wire.MAX_PATH:
            raise MachineError(f"{base}.sock: a socket path has at most {wire.MAX_PATH} bytes; shorten the prefix")
        return cls(Path(f"{base}.sock"), Path(f"{base}.lock"))


class Controls:
    """The system's side: held by one process at a time, which is what keeps a second system from starting."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock = LockFile(address.lock)
        self._listener: socket.socket | None = None

    def take(self) -> bool:
        """Claim the address, and clear away what a killed holder has left; False while another process has it."""
        private.check(self._address.socket, wire.OTHER_PLACE)
        if not self._lock.take():
            return False
        self._address.socket.unlink(missing_ok=True)
        return True

    def serve(self, ask: Callable[[Request], None]) -> None:
        """Hand requests on to `ask`, from threads of their own."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        os.fchmod(listener.fileno(), private.FILE)
        listener.bind(str(self._address.socket))
        listener.listen()
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener, ask), name="sm-controls", daemon=True).start()

    def release(self) -> None:
        """Leave nothing behind; idempotent."""
        listener, self._listener = self._listener, None
        if listener is not None:
            self._address.socket.unlink(missing_ok=True)
            listener.close()
        self._lock.release()

    def _accept(self, listener: socket.socket, ask: Callable[[Request], None]) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_answer, args=(connection, ask), name="sm-control", daemon=True).start()


def ask(address: Address, what: str, name: str = "", *, timeout_s: float | None = None) -> dict[str, Any]:
    """Ask the system, and wait for its answer; {} when it ends instead of answering.

    NotUp when there is none. NotOurs when a stranger listens there. TimeoutError after `timeout_s` seconds.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            wire.connect(connection, address.socket)
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotUp from None
        with contextlib.suppress(ConnectionError):
            connection.sendall(json.dumps({"what": what, "name": name}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer: dict[str, Any] = json.loads(lines.readline() or b"{}")
                return answer
    return {}


def _answer(connection: socket.socket, ask: Callable[[Request], None]) -> None:
    """One request and its reply; a client that leaves early harms nobody."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError), connection:
        with connection.makefile("rb") as lines:
            asked = json.loads(lines.readline(MAX_LINE))
        request = Request(str(asked["what"]), str(asked["name"]))
        ask(request)
        connection.sendall(json.dumps(request.reply.get()).encode() + b"\n")
