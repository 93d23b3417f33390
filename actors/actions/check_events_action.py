"""The `check_events` action: looks for events that wait in a mailbox."""

from __future__ import annotations

from collections.abc import Hashable

from ...storage import mailbox
from .base import Context
from .builtin import BuiltinAction


class CheckEventsAction(BuiltinAction):
    """With none waiting it yields `no_events`; with some, `success:`, or `events_found` for another machine's mailbox.

    It takes nothing away. The machine's own events come by themselves, so for them no event of its own is needed.
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
        """Looks once."""
        target = self.text("target_machine") or self.services.machine
        letters = mailbox.peek(self.services.db, target, self.names("event_types") or None)
        if not letters:
            return self.empty_event()
        found = [
            {"type": letter.type, "payload": letter.payload, "job_id": letter.job_id, "source": letter.source}
            for letter in letters
        ]
        self.store(context, "store_as", "found_events", found)
        return self.event("success", "" if target == self.services.machine else "events_found") or None

    def empty_event(self) -> str:
        """Return the event for nothing found: `empty:`, by default `no_events`."""
        return self.event("empty", "no_events")

    def watch_key(self) -> Hashable:
        """The mailbox's machine."""
        return (self.text("target_machine") or self.services.machine,)
