"""The `clear_events` action: marks waiting events of a mailbox as ignored."""

from __future__ import annotations

from ...storage import mailbox
from .base import Context
from .builtin import BuiltinAction

_ALL = 1_000_000


class ClearEventsAction(BuiltinAction):
    """Marks unread events as ignored and causes `events_cleared`; `no_events_to_clear` if none waits."""

    keys = {
        "event_types": "one event type or a list of them (default: any)",
        "target_machine": "whose mailbox (default: this machine's)",
        "success": "event in both cases",
    }
    events = {"success": ("events_cleared", "no_events_to_clear")}

    def execute(self, context: Context) -> str | None:
        target = self.text("target_machine") or self.services.machine
        waiting = mailbox.unread(self.services.db, target, types=self.names("event_types") or None, limit=_ALL)
        ids = [event.id for event in waiting]
        mailbox.settle(self.services.db, ids, "ignored")
        if target == self.services.machine:
            self.services.cleared.update(ids)
        return self.event("success", "events_cleared" if waiting else "no_events_to_clear")
