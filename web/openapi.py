"""The description of the API, served at /api/openapi.json."""

from __future__ import annotations

from flask import Blueprint, Flask, Response

from .answers import reply

blueprint = Blueprint("openapi", __name__)


def init_app(app: Flask) -> None:
    """Add the route."""
    app.register_blueprint(blueprint)


@blueprint.get("/api/openapi.json")
def document() -> Response:
    """The document."""
    return reply({"openapi": "3.1.0", "info": {"title": "statemachine-engine", "version": "2"}, "paths": {}})
