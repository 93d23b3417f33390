"""The `activity_log` action: `log` that always goes on with an event."""

from __future__ import annotations

from .base import Context
from .log_action import LogAction


class ActivityLogAction(LogAction):
    """Logs a line, and causes the event `success:`, by default `continue`."""

    instant = True
    keys = {**LogAction.keys, "success": "event to fire afterwards (continue)"}
    events = {"success": "continue"}

    def execute(self, context: Context) -> str | None:
        self.config.setdefault("message", "Log message")
        return super().execute(context) or "continue"
