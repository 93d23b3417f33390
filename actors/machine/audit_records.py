"""The records that a machine writes: one function for each kind of row, in the formats of the older engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...storage.audit import Mark, Note, Received, Record, StateRow
from ..audit.recorder import stamped_note

if TYPE_CHECKING:
    from ...storage.clock import Clock
    from ...storage.snapshots import Snapshot
    from ..definition.model import Outcome
    from ..sockets.messages import EventMessage
    from .action_run import Pause
    from .step import Step


class AuditRecords:
    """Makes the records of one machine."""

    def __init__(self, machine: str, config_type: str, incarnation: str, clock: Clock) -> None:
        self._machine = machine
        self._config_type = config_type
        self._incarnation = incarnation
        self._clock = clock

    def note(self, type: str, payload: Mapping[str, Any]) -> Note:
        """Return a row of the audit log with the present time."""
        return stamped_note(self._machine, type, payload, self._clock.now())

    def state(self, state: str) -> StateRow:
        """Return the machine's row in the state table."""
        return StateRow(self._machine, state, self._clock.now(), self._incarnation)

    def registered(self, state: str) -> Note:
        """Return the row that the machine has started."""
        return self.note("machine_registered", {**self._identity(), "current_state": state})

    def resumed(self, snapshot: Snapshot) -> Note:
        """Return the row that the machine has resumed."""
        return self.note("machine_resumed", {**self._identity(), "state": snapshot.state, "since": snapshot.saved_at})

    def terminated(self, state: str, outcome: Outcome | None) -> Note:
        """Return the row that the machine has ended; without an outcome it was stopped."""
        return self.note("machine_terminated", {**self._identity(), "state": state, "outcome": outcome})

    def changed(self, source: str, move: Step, trigger: str) -> Note:
        """Return the row of a transition."""
        return self.note("state_change", {"from_state": source, "to_state": move.target, "event_trigger": trigger})

    def received(self, event: EventMessage) -> Note:
        """Return the row that an event has arrived, whether a transition takes it or not."""
        keys = list(event.payload) if isinstance(event.payload, dict) else []
        return self.note("activity_log", {
            "message": f"📥 Received {event.type}", "level": "info", "type": event.type, "event_type": event.type,
            "payload_keys": keys, "source": event.source,
        })  # fmt: skip

    def settled(self, event: EventMessage, status: str) -> Record:
        """Return the new status of an event's row in the mailbox; a datagram without a row gets one."""
        if event.event_id is not None:
            return Mark(event.event_id, status)
        return Received(self._machine, event.type, event.payload, event.job_id, event.source, status, event.timestamp)

    def unhandled(self, event: str, state: str, more: Mapping[str, Any]) -> Note:
        """Return the row that no transition takes an event."""
        return self.note("unhandled", {"event": event, "state": state, **more})

    def retrying(self, state: str, pause: Pause, job_id: str | None) -> Note:
        """Return the row that an action has failed and is tried again."""
        return self.note("action_retry", {
            "action": pause.action, "state": state, "attempt": pause.attempt, "attempts": pause.attempts,
            "delay_s": round(pause.delay_s, 3), "error_message": pause.reason, "job_id": job_id,
        })  # fmt: skip

    def failed(self, state: str, message: str) -> Note:
        """Return the row that the machine cannot go on by itself."""
        return self.note("machine_failed", {"state": state, "error_message": message})

    def _identity(self) -> dict[str, Any]:
        return {"machine_name": self._machine, "config_type": self._config_type}
