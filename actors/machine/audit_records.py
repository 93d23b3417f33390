"""What a machine puts on record: one function per kind of row, in the shapes of the older engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...storage.audit import Mark, Note, Received, Record, StateRow

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
        """A row of the audit log, stamped with the time."""
        now_s = self._clock.now()
        return Note(self._machine, type, {**payload, "timestamp": now_s}, now_s)

    def state(self, state: str) -> StateRow:
        """The machine's row in the state table."""
        return StateRow(self._machine, state, self._clock.now(), self._incarnation)

    def registered(self, state: str) -> Note:
        """It has started."""
        return self.note("machine_registered", {**self._identity(), "current_state": state})

    def resumed(self, snapshot: Snapshot) -> Note:
        """It goes on where it was."""
        return self.note("machine_resumed", {**self._identity(), "state": snapshot.state, "since": snapshot.saved_at})

    def terminated(self, state: str, outcome: Outcome | None) -> Note:
        """It is over; without an outcome it was stopped."""
        return self.note("machine_terminated", {**self._identity(), "state": state, "outcome": outcome})

    def changed(self, source: str, move: Step, trigger: str) -> Note:
        """A transition was taken."""
        return self.note("state_change", {"from_state": source, "to_state": move.target, "event_trigger": trigger})

    def received(self, event: EventMessage) -> Note:
        """A message arrived; whether a transition takes it is another record."""
        keys = list(event.payload) if isinstance(event.payload, dict) else []
        return self.note("activity_log", {
            "message": f"📥 Received {event.type}", "level": "info", "type": event.type, "event_type": event.type,
            "payload_keys": keys, "source": event.source,
        })  # fmt: skip

    def settled(self, event: EventMessage, status: str) -> Record:
        """What became of its row in the mailbox; a datagram without one gets it now."""
        if event.event_id is not None:
            return Mark(event.event_id, status)
        return Received(self._machine, event.type, event.payload, event.job_id, event.source, status, event.timestamp)

    def unhandled(self, event: str, state: str, more: Mapping[str, Any]) -> Note:
        """No transition takes an event."""
        return self.note("unhandled", {"event": event, "state": state, **more})

    def retrying(self, state: str, pause: Pause, job_id: str | None) -> Note:
        """An action failed and is to be tried again."""
        return self.note("action_retry", {
            "action": pause.action, "state": state, "attempt": pause.attempt, "attempts": pause.attempts,
            "delay_s": round(pause.delay_s, 3), "error_message": pause.reason, "job_id": job_id,
        })  # fmt: skip

    def failed(self, state: str, message: str) -> Note:
        """The machine cannot go on by itself."""
        return self.note("machine_failed", {"state": state, "error_message": message})

    def _identity(self) -> dict[str, Any]:
        return {"machine_name": self._machine, "config_type": self._config_type}
