"""The `sleep` action: waits until its time is over or the machine leaves the state."""

from __future__ import annotations

from .base import DURATION, Context
from .builtin import BuiltinAction


class SleepAction(BuiltinAction):
    """Causes `wake_up` when the time is over; if it is cancelled, it ends at once without an event."""

    keys = {
        "duration": "how long, in seconds or as 1m30s (1)",
        "success": "event afterwards (wake_up)",
    }
    events = {"success": "wake_up"}
    value_kinds = {"duration": DURATION}
    takes_time = True

    def execute(self, context: Context) -> str | None:
        cancelled = self.services.cancel.wait(self.duration_s("duration", 1))
        return None if cancelled else self.event("success", "wake_up")
