"""The configuration of the page, and the route of the older second port."""

from __future__ import annotations

from flask import Blueprint, Response, request

from ...actors.system.manifest_file import project_in
from ..answers import reply
from ..monitor import the_monitor
from ..settings import version
from ..stream.follower import Follower

blueprint = Blueprint("api", __name__)


@blueprint.get("/api/config")
def config() -> Response:
    """Return the address of the stream as the browser sees it, and what is allowed."""
    monitor = the_monitor()
    settings = monitor.settings
    scheme = "wss" if request.is_secure else "ws"
    return reply(
        {
            "websocket_url": f"{scheme}://{request.host}{request.script_root}/ws/events",
            "websocket_port": settings.websocket_port or settings.port,
            "ui_port": settings.port,
            "read_only": monitor.read_only,
            "version": version(),
            "project": str(settings.project_root),
            "title": project_in(settings.project_root),
            "csrf_token": monitor.csrf_token,
        }
    )


@blueprint.get("/initial")
def initial() -> Response:
    """Return the first message of a WebSocket."""
    monitor = the_monitor()
    monitor.feed.start()
    return Response(Follower(monitor, None).initial(), mimetype="application/json")
