"""Collect everything that a runtime publishes, in order, to wait for it and to search it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tests.support.until import PATIENCE_S

Envelope = dict[str, Any]


class Journal:
    """Subscribe it to a runtime; it keeps each envelope and wakes those who wait for one."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self._more = threading.Condition(threading.RLock())

    def __call__(self, envelope: Envelope) -> None:
        with self._more:
            self.envelopes.append(envelope)
            self._more.notify_all()

    def of(self, type: str, machine: str | None = None) -> list[dict[str, Any]]:
        """Payloads of one type, in order."""
        with self._more:
            return [e["payload"] for e in self.envelopes if e["type"] == type and machine in (None, e["machine_name"])]

    def path(self, machine: str | None = None) -> list[str]:
        """Return the states that were entered by a transition."""
        return [str(change["to_state"]) for change in self.of("state_change", machine)]

    def wait_path(self, *states: str, machine: str | None = None) -> None:
        """Wait until as many transitions are recorded; they must lead through these states."""
        self.wait(lambda _: len(self.path(machine)) >= len(states))
        assert self.path(machine) == list(states)

    def wait(self, reached: Callable[[Journal], bool], timeout_s: float = PATIENCE_S) -> None:
        """Wait until the journal satisfies a condition; a failure shows its content."""
        with self._more:
            if not self._more.wait_for(lambda: reached(self), timeout_s):
                seen = [(e["machine_name"], e["type"], e["payload"]) for e in self.envelopes]
                raise AssertionError(f"not reached within {timeout_s} s; journal: {seen}")

    def wait_for(self, type: str, count: int = 1, timeout_s: float = PATIENCE_S, **fields: Any) -> list[dict[str, Any]]:
        """Wait for `count` envelopes of a type whose payload has these fields, and return their payloads."""

        def found() -> list[dict[str, Any]]:
            return [p for p in self.of(type) if all(p.get(key) == value for key, value in fields.items())]

        self.wait(lambda _: len(found()) >= count, timeout_s)
        return found()
