"""Events to browsers: WebSocket and server-sent events."""
