"""The `check_events` action: looks for events that wait in a mailbox."""

from __future__ import annotations

from collections.abc import Hashable

from ...storage import mailbox
from .base import Context
from .builtin import BuiltinAction


class CheckEventsAction(BuiltinAction):
    """Causes `no_events` for an empty mailbox, else `success:` (by default `events_found` for another machine's).

    It removes nothing. The machine's own events reach it by themselves, so that it has no default event for them.
    """

    keys = {
        "event_types": "one event type or a list of them (default: any)",
        "target_machine": "whose mailbox (default: this machine's)",
        "store_as": "context key for the list of events found (found_events)",
        "success": "event when there are some",
        "empty": "event when there are none (no_events)",
    }
    events = {"success": "", "empty": "no_events"}
    stores = {"store_as": "found_events"}
    watch = "events"

    def execute(self, context: Context) -> str | None:
        target = self.text("target_machine") or self.services.machine
        waiting = mailbox.unread(self.services.db, target, types=self.names("event_types") or None)
        if not waiting:
            return self.empty_event()
        found = [
            {"type": event.type, "payload": event.payload, "job_id": event.job_id, "source": event.source}
            for event in waiting
        ]
        self.store(context, "store_as", "found_events", found)
        return self.event("success", "" if target == self.services.machine else "events_found") or None

    def watch_key(self) -> Hashable:
        """Return the machine of the mailbox."""
        return (self.text("target_machine") or self.services.machine,)
