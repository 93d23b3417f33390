"""A WebSocket client that blocks; unlike simple_websocket's, it also sees what came together with the handshake."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any, Self

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)

from tests.support.until import PATIENCE_S


class Refused(Exception):
    """The server did not take the handshake; `status` is its answer."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"refused with {status}")


class Closed(Exception):
    """The server has ended the connection."""


class WebSocket:
    """One connection; use it in a `with` statement."""

    def __init__(
        self, port: int, path: str = "/ws/events", *, host: str = "", headers: Mapping[str, str] | None = None,
        buffer: int | None = None,
    ) -> None:  # fmt: skip
        """`buffer`: bytes that the kernel keeps for us; few for a client that is to stall."""
        self.sock = socket.socket()
        if buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.sock.settimeout(10)
        self._ws = WSConnection(ConnectionType.CLIENT)
        self._events: list[Any] = []
        extra = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        try:
            self.sock.connect(("127.0.0.1", port))
            self._send(Request(host=host or f"127.0.0.1:{port}", target=path, extra_headers=extra))
            answer = self._next()
            if isinstance(answer, RejectConnection):
                raise Refused(answer.status_code)
            assert isinstance(answer, AcceptConnection)
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, text: str) -> None:
        """Send a text message."""
        self._send(TextMessage(data=text))

    def receive(self, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """Return the next message. Raise TimeoutError or Closed."""
        self.sock.settimeout(timeout_s)
        text = ""
        while True:
            event = self._next()
            if isinstance(event, TextMessage):
                text += event.data
                if event.message_finished:
                    message: dict[str, Any] = json.loads(text)
                    return message
            elif isinstance(event, Ping):
                self._send(event.response())
            else:
                assert not isinstance(event, BytesMessage)
                raise Closed(repr(event))

    def until(self, type: str, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """Return the next message of a type; skip others."""
        while (message := self.receive(timeout_s))["type"] != type:
            pass
        return message

    def _send(self, event: Any) -> None:
        self.sock.sendall(self._ws.send(event))

    def _next(self) -> Any:
        while not self._events:
            data = self.sock.recv(65536)
            try:
                self._ws.receive_data(data or None)
            except Exception as error:  # wsproto's own complaint about what the server sent
                raise Closed(str(error)) from error
            self._events += self._ws.events()
            if not data:
                self._events.append(CloseConnection(1006, "no more data"))
        return self._events.pop(0)
