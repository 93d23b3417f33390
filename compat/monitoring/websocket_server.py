"""`python -m statemachine_engine.monitoring.websocket_server`: the stream by itself, as older scripts start it."""

from __future__ import annotations

from ..cli.ui import main_websocket

if __name__ == "__main__":
    main_websocket()
