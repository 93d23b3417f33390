"""The stream without the page: `python -m statemachine_engine.monitoring.websocket_server`."""

from __future__ import annotations

from typing import Any

import click

from .options import db_option
from .program import Program, debug_option, standard_streams
from .ui import WEBSOCKET_PORT, port_type, run, server_options


@click.command(cls=Program)
@click.option("--port", type=port_type, default=WEBSOCKET_PORT, show_default=True, help="Port to listen on.")
@server_options
@db_option
@debug_option("Log every request.")
@click.version_option(package_name="statemachine-engine")
def websocket_server(debug: bool, **options: Any) -> None:
    """Serve the live stream at /ws/events and /ws, and what statemachine-ui serves beside it.

    \b
    Example:
      python -m statemachine_engine.monitoring.websocket_server --port 8765

    Exit codes: 0 ended by SIGTERM or Ctrl-C, 1 the port or the database cannot be had, 2 usage.
    """
    run(options, websocket_port=None, access_log=debug)


def main() -> None:
    """What `python -m` runs."""
    standard_streams()
    websocket_server(prog_name="python -m statemachine_engine.monitoring.websocket_server")
