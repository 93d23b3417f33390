"""The `send_event` action: sends an event to other machines."""

from __future__ import annotations

from typing import Any

from ..jobs.job_context import current_job_id
from .base import Context
from .builtin import LONE_PLACEHOLDER, BuiltinAction


class SendEventAction(BuiltinAction):
    """Stores the event for its target, delivers it if the target runs, and causes `event_sent`.

    A machine that does not run gets the event at its next start.
    """

    keys = {
        "target_machine": "a machine's name, a pattern such as worker_*, or all",
        "target": "the same as target_machine",
        "event_type": "the event (generic_event)",
        "payload": "what goes along, any JSON value; {event_data.payload} forwards what came",
        "job_id": "the job it is about (default: the current one)",
        "success": "event afterwards (event_sent)",
        "fire_and_forget": "no event afterwards",
    }
    events = {"success": "event_sent"}
    required_keys = ("target_machine",)
    same_as = {"target": "target_machine"}

    def execute(self, context: Context) -> str | None:
        target = str(self.required("target" if self.text("target_machine") is None else "target_machine"))
        event_type = self.text("event_type") or "generic_event"
        job_id = self.text("job_id") or current_job_id(context)
        sent = self.services.send(target, event_type, self._payload(), job_id)
        if not sent.count:
            self.logger.warning("[%s] no machine matches '%s'", self.get_machine_name(context), target)
        return None if self.flag("fire_and_forget") else self.event("success", "event_sent")

    def _payload(self) -> Any:
        payload = self.config.get("payload")
        # A placeholder is left when an event is forwarded in a state that was entered without one.
        nothing = payload is None or (isinstance(payload, str) and LONE_PLACEHOLDER.fullmatch(payload))
        return {} if nothing else payload
