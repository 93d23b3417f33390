"""The `check_machine_state` action: looks up the state of another machine."""

from __future__ import annotations

from collections.abc import Hashable

from ..processes.liveness import is_running
from .base import Context
from .builtin import BuiltinAction


class CheckMachineStateAction(BuiltinAction):
    """Causes `in_expected_state`, `unexpected_state` or `not_running`, as the registry and the heartbeat say.

    If no transition takes one of the last two, it waits.
    """

    keys = {
        "target_machine": "the machine's name",
        "target": "the same as target_machine",
        "expected_states": "one state or a list of them",
        "store_as": "context key for the state it is in (default: not stored)",
        "in_expected_state": "event when it is in one of them (in_expected_state)",
        "success": "the same as in_expected_state",
        "unexpected_state": "event when it is in another (unexpected_state)",
        "not_running": "event when it does not run (not_running)",
        "timeout_seconds": "accepted from older files: machines show that they are alive by themselves",
    }
    events = {
        "in_expected_state": "in_expected_state",
        "unexpected_state": "unexpected_state",
        "not_running": "not_running",
    }
    required_keys = ("target_machine",)
    same_as = {"target": "target_machine", "success": "in_expected_state"}
    stores = {"store_as": ""}
    watch = "machine"
    _missed: str | None = None

    def execute(self, context: Context) -> str | None:
        row = self.services.machine_row(self._target())
        if row is None or not is_running(row, self.services.db.now()):
            self._missed = self.event("not_running", "not_running")
            return self._missed
        if self.text("store_as"):
            self.store(context, "store_as", "", row.current_state)
        if row.current_state in self.names("expected_states"):
            return self.event("in_expected_state", self.event("success", "in_expected_state"))
        self._missed = self.event("unexpected_state", "unexpected_state")
        return self._missed

    def empty_event(self) -> str | None:
        """Return the event of the last look, unless it found an expected state."""
        return self._missed

    def watch_key(self) -> Hashable:
        """Return the machine's name."""
        return (self._target(),)

    def _target(self) -> str:
        return str(self.required("target" if self.text("target_machine") is None else "target_machine"))
