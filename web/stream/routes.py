"""The live stream: WebSockets at /ws/events and /ws, server-sent events at /api/stream."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, Response, request
from flask_sock import Sock

from ..answers import Refused
from ..monitor import Monitor, the_monitor
from ..query import MAX_ID, Query
from . import client as clients
from .client import Client
from .follower import Follower
from .frames import message, sse_events, sse_message
from .pipe import Pipe, close_if_dead

if TYPE_CHECKING:
    from simple_websocket import Server

#: most streams at a time: each holds a thread of the server, which has further threads for requests
MOST_STREAMS = 512
#: longest message of a client in bytes
LONGEST_MESSAGE = 4096

GOING_AWAY = 1001

PATHS = {"/ws/events": "websocket_events", "/ws": "websocket"}

blueprint = Blueprint("stream", __name__)


class Reader(threading.Thread):
    """simple_websocket's reader as a daemon thread, so that it does not keep the process alive."""

    def __init__(self, **options: Any) -> None:
        super().__init__(daemon=True, **options)


def init_app(app: Flask) -> None:
    """Add the WebSockets."""
    app.config["SOCK_SERVER_OPTIONS"] = {"thread_class": Reader, "max_message_size": LONGEST_MESSAGE}
    sock = Sock(app)
    for path, name in PATHS.items():
        sock.route(path, endpoint=name)(follow)


def follow(ws: Server) -> None:
    """Serve one WebSocket until its client or the server leaves."""
    monitor = the_monitor()
    feed = monitor.feed
    pipe = ws.sock = Pipe(ws.sock, feed.stopped.is_set)
    client = Client(ws, pipe, monitor, _since(None))
    try:
        with feed.following(client.notify), contextlib.suppress(OSError):
            client.serve()
        if ws.connected:
            ws.close(GOING_AWAY, "the server stops")
    except OSError:
        pass
    finally:
        pipe.hang_up()


@blueprint.get("/api/stream")
def server_sent_events() -> Response:
    """Serve the same stream for EventSource, which reconnects with the last id by itself."""
    monitor = the_monitor()
    since = _since(request.headers.get("Last-Event-ID"))
    sock = request.environ.get("gunicorn.socket") or request.environ.get("werkzeug.socket")
    if sock is not None:
        close_if_dead(sock)
    return Response(_events(monitor, since), mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})


@blueprint.before_app_request
def make_room() -> None:
    """Refuse a stream with wrong parameters, or when there are too many, while HTTP can still report it."""
    if request.endpoint not in (*PATHS.values(), "stream.server_sent_events"):
        return
    monitor = the_monitor()
    monitor.feed.start()
    if monitor.feed.clients >= MOST_STREAMS:
        raise Refused(503, f"{MOST_STREAMS} clients follow already", "try again later, or close other pages")
    _since(None)


# Helpers


def _since(last_event_id: str | None) -> int | None:
    """Return the event after which the client continues; Last-Event-ID is newer than the URL's `since`."""
    if last_event_id and last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19:
        return int(last_event_id)
    return Query().integer("since", None, low=0, high=MAX_ID)


def _events(monitor: Monitor, since: int | None) -> Iterator[bytes]:
    feed = monitor.feed
    feed.ready.wait(clients.READY_S)
    follower = Follower(monitor, since)
    news = threading.Event()
    with feed.following(news.set):
        yield sse_message(follower.initial())
        while not feed.stopped.is_set():
            for piece in follower.pieces():
                yield sse_message(piece) if isinstance(piece, bytes) else piece.encoded(sse_events)
            if not news.wait(clients.PING_S):
                yield sse_message(message("ping", timestamp=monitor.now()))
            news.clear()
