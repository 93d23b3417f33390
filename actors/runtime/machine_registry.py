"""The machines of one process, by name."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .machine import Machine


class MachineRegistry:
    """Thread-safe; a name stands for the machine that was started last under it."""

    def __init__(self) -> None:
        self._machines: dict[str, Machine] = {}
        self._lock = threading.Lock()
        #: one for each that waits
        self._bells: list[SimpleQueue[None]] = []

    def add(self, machine: Machine) -> None:
        """Enter a machine, as the last one."""
        with self._lock:
            self._machines.pop(machine.name, None)
            self._machines[machine.name] = machine

    def get(self, name: str) -> Machine | None:
        """The machine of this name."""
        return self._machines.get(name)

    def all(self) -> list[Machine]:
        """All machines, those that ended too, in order of their start."""
        with self._lock:
            return list(self._machines.values())

    def live(self) -> list[Machine]:
        """The machines that have not ended."""
        return [machine for machine in self.all() if not machine.machine_status.ended.is_set()]

    def names(self) -> list[str]:
        """The names of the machines that have not ended."""
        return [machine.name for machine in self.live()]

    def stop(self, grace_s: float, cut_off_s: float) -> None:
        """Stop all machines: after their current jobs, or at once when the grace is over; wait for their ends."""
        live = self.live()
        for machine in live:
            machine.stop()
        if not _ended_by(live, time.monotonic() + grace_s):
            for machine in live:
                machine.stop(drain=False)
            _ended_by(live, time.monotonic() + cut_off_s)

    def notify(self) -> None:
        """A machine ended, or something else that `wait_until` may wait for has happened.

        From any thread and from a signal handler: it takes no lock, and needs no thread of its own.
        """
        for bell in tuple(self._bells):
            bell.put(None)

    def wait_until(self, condition: Callable[[], bool], timeout_s: float | None) -> bool:
        """Wait for a condition that is looked at whenever something changed; whether it holds."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        bell: SimpleQueue[None] = SimpleQueue()
        self._bells.append(bell)
        try:
            while not condition():
                bell.get(timeout=None if deadline_s is None else max(0.0, deadline_s - time.monotonic()))
        except Empty:
            return condition()
        finally:
            self._bells.remove(bell)
        return True


def _ended_by(live: list[Machine], deadline_s: float) -> bool:
    """Wait until all have ended; False at the deadline (monotonic)."""
    return all(machine.machine_status.ended.wait(max(0.0, deadline_s - time.monotonic())) for machine in live)
