"""The `sleep` action: waits, unless the machine is told to leave the state."""

from __future__ import annotations

from .base import Context
from .builtin import BuiltinAction


class SleepAction(BuiltinAction):
    """Yields `wake_up` when the time is over; cancelled, it ends at once."""

    keys = {
        "duration": "how long, in seconds or as 1m30s (1)",
        "success": "event afterwards (wake_up)",
    }
    events = {"success": "wake_up"}

    def execute(self, context: Context) -> str | None:
        """Sleeps."""
        cancelled = self.services.cancel.wait(self.duration_s("duration", 1))
        return None if cancelled else self.event("success", "wake_up")
