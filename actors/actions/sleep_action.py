"""The `sleep` action: waits, unless the machine is told to leave the state."""

from __future__ import annotations

from ..definition import parse_duration
from .base import BaseAction, Context
from .errors import ActionError


class SleepAction(BaseAction):
    """Yields `wake_up` when the time is over; cancelled, it ends at once."""

    keys = {
        "duration": "how long, in seconds or as 1m30s (1)",
        "success": "event afterwards (wake_up)",
    }

    def execute(self, context: Context) -> str | None:
        """Sleeps."""
        try:
            duration_s = parse_duration(self.config.get("duration", 1))
        except ValueError as error:
            raise ActionError(f"'duration': {error}") from error
        return None if self.services.cancel.wait(duration_s) else self.event("success", "wake_up")
