"""Serves an app with gunicorn: one process, many threads, and an orderly end."""

from __future__ import annotations

import logging
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from flask import Flask, Response
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.workers.gthread import ThreadWorker

from ..actors.logs.log_format import logging_to_stderr
from ..actors.runtime import thread_dump
from . import peers
from .answers import reply
from .app import monitor_of
from .stream.routes import MOST_STREAMS

log = logging.getLogger(__name__)

#: threads for requests, besides one for each stream, so that a slow client blocks no other; threads are started when
#: they are needed
REQUEST_THREADS = 32
GRACE_S = 5
#: seconds in which a request must arrive with its body, and the same while many are pending
WHOLE_S, HURRIED_S = 60.0, 2.0


class PendingRequests:
    """gunicorn's connections whose requests are incomplete; each holds a thread, so their time is limited."""

    def __init__(self, crowd: int) -> None:
        """`crowd`: with more pending requests than this, the shorter time applies."""
        self._crowd = crowd
        self._since: dict[Any, float] = {}

    def begin(self, connection: Any) -> None:
        """Record that a thread waits for the request of this connection."""
        self._since[connection] = time.monotonic()

    def end(self, connection: Any) -> None:
        """Record that the request is complete or will not come; idempotent."""
        self._since.pop(connection, None)

    def disconnect_slow(self) -> None:
        """Stop reading from late connections; to their threads it looks as if the clients had left."""
        arrivals = list(self._since.items())
        patience_s = HURRIED_S if len(arrivals) > self._crowd else WHOLE_S
        for connection, since_s in arrivals:
            if time.monotonic() - since_s > patience_s:
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RD)


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's threaded worker; it tells the streams to end, which would otherwise delay its exit."""

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._stop_streams()
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: Any) -> None:
        """Stop gracefully: Ctrl-C reaches every process of the terminal."""
        self.handle_exit(sig, frame)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pending = PendingRequests(REQUEST_THREADS)

    def handle(self, conn: Any) -> Any:
        self._pending.begin(conn)
        try:
            return super().handle(conn)
        finally:
            self._pending.end(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        if not any(
            name == "TRANSFER-ENCODING" or (name == "CONTENT-LENGTH" and size != "0") for name, size in req.headers
        ):
            self._pending.end(conn)  # it may be a stream, which has no end
        return super().handle_request(req, conn)

    def murder_keepalived(self, *args: Any, **kwargs: Any) -> None:
        """Also disconnect slow requests; gunicorn calls this at least once a second."""
        super().murder_keepalived(*args, **kwargs)
        self._pending.disconnect_slow()

    def accept(self, *args: Any) -> None:
        """Accept a connection; the listener is the last argument. Connections of other users are refused."""
        *rest, listener = args
        super().accept(*rest, peers.OwnUsersListener(listener) if self.app.own_users_only else listener)

    def init_signals(self) -> None:
        super().init_signals()
        signal.signal(signal.SIGINT, self.handle_exit)

    def handle_usr1(self, sig: int, frame: Any) -> None:
        """Log the stacks of all threads, as our other processes do; there are no log files to reopen."""
        thread_dump.write()

    def _stop_streams(self) -> None:
        app = getattr(self.app, "flask_app", None)
        if app is not None:
            monitor_of(app).feed.stop_soon()


class Log(Logger):  # type: ignore[misc]
    """gunicorn's logger, passed to ours: no request can forge a line, and no reader blocks it."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn without its command line; the sockets are bound already."""

    def __init__(
        self, make_app: Callable[[], Flask], sockets: list[socket.socket], *, access_log: bool, own_users_only: bool
    ) -> None:
        self._make_app = make_app
        self._sockets = sockets
        self._access_log = access_log
        self.own_users_only = own_users_only and peers.can_tell()
        if own_users_only and not self.own_users_only:
            log.warning("this system does not tell the user of a connection: set --token if others use this computer")
        self.flask_app: Flask | None = None
        super().__init__()

    def load_config(self) -> None:
        options = {
            "bind": [f"fd://{sock.fileno()}" for sock in self._sockets],
            "workers": 1,
            "worker_class": f"{__name__}.Worker",
            "threads": MOST_STREAMS + REQUEST_THREADS,
            "worker_connections": 4 * (MOST_STREAMS + REQUEST_THREADS),
            "graceful_timeout": GRACE_S,
            "timeout": 120,
            "keepalive": 5,
            "accesslog": "-" if self._access_log else None,
            "errorlog": "-",
            "loglevel": "info" if self._access_log else "warning",
            "worker_exit": _close,
            "logger_class": f"{__name__}.Log",
            "control_socket_disable": True,
            "proc_name": "statemachine-ui",
        }
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        self.flask_app = self._make_app()
        for error in (ParseException, NoMoreData):
            self.flask_app.register_error_handler(error, _malformed)
        monitor_of(self.flask_app).feed.start()
        return self.flask_app


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host.strip("[]"), port))
        sock.listen(512)
        sock.set_inheritable(True)
    except OSError:
        sock.close()
        raise
    return sock


def serve(
    make_app: Callable[[], Flask], sockets: list[socket.socket], *, access_log: bool = False, own_users_only: bool
) -> None:
    """Serve until SIGINT or SIGTERM; then gunicorn ends the process with code 0.

    With `own_users_only`, sockets on loopback accept connections of our own user and of root only.
    """
    with logging_to_stderr(logging.INFO if access_log else logging.WARNING):
        Server(make_app, sockets, access_log=access_log, own_users_only=own_users_only).run()


# Helpers


def _malformed(_error: Exception) -> Response:
    return reply({"error": "the body is incomplete, or its chunks are malformed"}, 400)


def _close(_arbiter: Any, worker: Any) -> None:
    """Close the monitor when the worker exits."""
    app = getattr(worker.app, "flask_app", None)
    if app is not None:
        monitor_of(app).close()
