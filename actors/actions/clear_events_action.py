"""The `clear_events` action: takes waiting events out of a mailbox."""

from __future__ import annotations

from ...storage import mailbox
from .base import Context
from .builtin import BuiltinAction

_ALL = 1_000_000


class ClearEventsAction(BuiltinAction):
    """Marks unread events as ignored and yields `events_cleared`; with none waiting, `no_events_to_clear`."""

    keys = {
        "event_types": "one event type or a list of them (default: any)",
        "target_machine": "whose mailbox (default: this machine's)",
        "success": "event in both cases",
    }
    events = {"success": ("events_cleared", "no_events_to_clear")}

    def execute(self, context: Context) -> str | None:
        """Clears."""
        target = self.text("target_machine") or self.services.machine
        letters = mailbox.peek(self.services.db, target, self.names("event_types") or None, _ALL)
        ids = [letter.id for letter in letters]
        mailbox.settle(self.services.db, ids, "ignored")
        if target == self.services.machine:
            self.services.cleared.update(ids)
        return self.event("success", "events_cleared" if letters else "no_events_to_clear")
