"""The stream without the page: `python -m statemachine_engine.monitoring.websocket_server`."""

from __future__ import annotations

from typing import Any

import click

from .program import Program, console_script, program_options
from .ui import WEBSOCKET_PORT, port_type, run, server_options


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


main = console_script(websocket_server, "python -m statemachine_engine.monitoring.websocket_server")
