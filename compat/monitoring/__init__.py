"""The older engines' import path of the monitor's WebSocket server."""
