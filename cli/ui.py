"""`statemachine-ui`: the page, its API and its stream; also the server that older scripts start for the stream."""

from __future__ import annotations

import errno
import json
import os
import secrets
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import Name, db_given, db_option, socket_options, stacked
from .program import Failure, Program, console_script, program_options

if TYPE_CHECKING:
    import socket

PORT, WEBSOCKET_PORT = 3001, 3002
HEALTH_TIMEOUT_S = 1.0

port_type = click.IntRange(0, 65535)


#: options of both servers
server_options = stacked(
    socket_options,
    click.option(
        "--project-root", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".",
        help="Folder with configurations and docs/fsm-diagrams. [default: the current one]",
    ),
    click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on."),
    click.option(
        "--shared", is_flag=True, envvar="STATEMACHINE_UI_SHARED",
        help="Let other users of this computer in without a token.",
    ),
    click.option(
        "--token", envvar="STATEMACHINE_UI_TOKEN", type=Name(), metavar="TOKEN",
        help="Secret that clients must know. [default: beyond loopback one is made up and printed]",
    ),
    click.option("--read-only", is_flag=True, help="Refuse everything that would change something."),
    click.option("--allow-host", "allowed_hosts", multiple=True, metavar="NAME", help="A name that a proxy uses."),
    db_option,
)  # fmt: skip


@click.command(cls=Program)
@click.option("--port", type=port_type, default=PORT, show_default=True, help="Page, API and WebSocket.")
@click.option(
    "--websocket-port", type=port_type, default=WEBSOCKET_PORT, show_default=True, help="The WebSocket here too."
)
@click.option("--no-websocket", is_flag=True, help="Leave the WebSocket port to another server.")
@click.option("--open", "open_browser", is_flag=True, help="Show the page in a browser.")
@server_options
@program_options("Log every request.", "statemachine-ui")
def ui(debug: bool, no_websocket: bool, websocket_port: int, open_browser: bool, **options: Any) -> None:
    """Serve the monitor: a page with the live state of all machines and their history.

    \b
    Example:
      statemachine-ui
      statemachine-ui --port 8080 --project-root /path/to/project --open
      statemachine-ui --host 0.0.0.0 --token "$(cat token)" --read-only

    Exit codes: 0 ended by SIGTERM or Ctrl-C, 1 the port or the database is not available, 2 usage.
    """
    run(options, websocket_port=None if no_websocket else websocket_port, access_log=debug, open_browser=open_browser)


@click.command(cls=Program)
@click.option("--port", type=port_type, default=WEBSOCKET_PORT, show_default=True, help="Port to listen on.")
@server_options
@program_options("Log every request.")
def websocket_server(debug: bool, **options: Any) -> None:
    """Serve the live stream at /ws/events and /ws, and the page and API of statemachine-ui.

    \b
    Example:
      python -m statemachine_engine.monitoring.websocket_server --port 8765

    Exit codes: 0 ended by SIGTERM or Ctrl-C, 1 the port or the database is not available, 2 usage.
    """
    run(options, websocket_port=None, access_log=debug)


main = console_script(ui, "statemachine-ui")
main_websocket = console_script(websocket_server, "python -m statemachine_engine.monitoring.websocket_server")


def run(options: dict[str, Any], *, websocket_port: int | None, access_log: bool, open_browser: bool = False) -> None:
    """Bind the sockets, print the addresses, and serve until a signal comes."""
    from ..web.server import serve
    from ..web.settings import is_loopback

    shared = options.pop("shared")
    sockets = [_bind(options["host"], options["port"])]
    same = websocket_port == options["port"] != 0  # the page's port serves the WebSocket in any case
    extra = None if websocket_port is None or same else _bind_websocket(options["host"], websocket_port)
    ports = {"port": _port(sockets[0]), "websocket_port": _port(extra) if extra else None}
    if options["token"] is None and not is_loopback(options["host"]):
        options["token"] = secrets.token_urlsafe(18)
    _check_database(create=not options["read_only"])
    options = {**options, **ports}
    _greet(options, open_browser)
    serve(
        partial(_make_app, db_given(), options), [*sockets, *([extra] if extra else ())], access_log=access_log,
        own_users_only=options["token"] is None and not shared,
    )  # fmt: skip


# Helpers


def _port(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


def _make_app(db: str | None, options: dict[str, Any]) -> Any:
    """Create the app, in the process that serves it."""
    from ..web.app import create_app

    names = {"event_socket_path": "event_socket", "control_socket_prefix": "control_prefix"}
    return create_app(db, **{names.get(key, key): value for key, value in options.items()})


def _bind(host: str, port: int) -> socket.socket:
    from ..web.server import bind

    try:
        return bind(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Failure(f"port {port} on {host} is taken by another program; choose one with --port") from error
        raise Failure(f"cannot listen on {host}:{port}: {error.strerror or error}") from error


def _bind_websocket(host: str, port: int) -> socket.socket | None:
    """Bind the second port; return None if it is taken, because the page works without it."""
    try:
        return _bind(host, port)
    except Failure:
        whose = "another monitor" if _is_monitor(port) else "another program"
        _say(
            f"Port {port} is taken by {whose}; the WebSocket is served with the page only "
            "(--websocket-port chooses another, --no-websocket none)"
        )
        return None


def _is_monitor(port: int) -> bool:
    from http.client import HTTPConnection, HTTPException

    try:
        connection = HTTPConnection("127.0.0.1", port, timeout=HEALTH_TIMEOUT_S)
        connection.request("GET", "/health")
        return "unix_socket_active" in json.loads(connection.getresponse().read(10_000))
    except (OSError, HTTPException, ValueError, TypeError):
        return False


def _check_database(*, create: bool) -> None:
    """Create a missing database if `create`, and print a warning now if the page would stay empty.

    A database that is unavailable is only a warning: the page waits for it. Raises StoreTooNew.
    """
    from ..storage.engine.database import Database
    from ..storage.errors import StoreTooNew, StoreUnavailable

    try:
        with Database.open(db_given(), create=create) as db:
            if db.barred:
                _say(f"🔒 {db} can only be read: {db.barred}")
    except StoreTooNew:
        raise
    except StoreUnavailable as error:
        _say(f"waiting: {error}")


def _greet(options: dict[str, Any], open_browser: bool) -> None:
    from ..web.settings import is_wildcard

    host = options["host"] if not is_wildcard(options["host"]) else "localhost"
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    address = f"http://{host}:{options['port']}/"
    if options["token"] is not None:
        address += f"login?token={options['token']}"
    _say(f"🌐 Monitor: {address}", err=False)
    stream = options["websocket_port"] or options["port"]
    _say(f"📡 WebSocket: ws://{host}:{stream}/ws/events", err=False)
    if options["read_only"]:
        _say("🔒 Read-only", err=False)
    if open_browser:
        click.launch(address)


def _say(line: str, *, err: bool = True) -> None:
    """Write a line without buffering; ignore a full disk, so that the server starts and ends anyway."""
    stream = sys.stderr if err else sys.stdout
    with suppress(OSError):
        os.write(stream.fileno(), f"{line}\n".encode(stream.encoding, "replace"))
