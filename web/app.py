"""The application factory: `create_app(...)` gives a Flask app that any threaded WSGI server can serve."""

from __future__ import annotations

from pathlib import Path

from flask import Flask

from . import answers, auth, compression, metrics, pages
from .api import controls, diagrams, events, jobs, machines, openapi, routes
from .monitor import EXTENSION, Monitor
from .settings import Settings
from .stream import routes as stream

#: longest body in bytes; the payload of an event may have 16 MiB
LONGEST_BODY = 17 * 1024 * 1024

#: modules with routes and checks; each request is checked in this order, and each answer completed in the reverse order
PARTS = (
    answers, auth, compression, pages, machines, events, jobs, diagrams, controls, routes, stream, metrics, openapi
)  # fmt: skip


def create_app(
    db: str | Path | None = None,
    *,
    project_root: str | Path | None = None,
    event_socket: str | None = None,
    control_prefix: str | None = None,
    token: str | None = None,
    read_only: bool = False,
    host: str = "127.0.0.1",
    port: int | None = None,
    websocket_port: int | None = None,
    allowed_hosts: tuple[str, ...] = (),
) -> Flask:
    """Return the monitor as a WSGI app; its thread starts with the first request that needs it, so it survives forks.

    `db` is a URL or path, `host` the address where the server will listen. Beyond loopback a `token` is needed. With
    several processes, each has its own thread, and `token` must be given so that all use the same one.
    """
    settings = Settings(
        db=None if db is None else str(db),
        project_root=Path(project_root or ".").absolute(),
        event_socket=event_socket,
        control_prefix=control_prefix,
        host=host,
        port=port,
        websocket_port=websocket_port,
        token=token,
        read_only=read_only,
        allowed_hosts=tuple(name.lower() for name in allowed_hosts),
    )
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = LONGEST_BODY
    app.url_map.merge_slashes = False  # machine names may contain //
    app.extensions[EXTENSION] = Monitor(settings)
    for part in PARTS:
        app.register_blueprint(part.blueprint)
    stream.init_app(app)
    return app


def monitor_of(app: Flask) -> Monitor:
    """Return the app's monitor, to start its feed before the first request, and to close it."""
    monitor: Monitor = app.extensions[EXTENSION]
    return monitor
