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
    """The machines by name, of several with one name the last one; thread-safe."""

    def __init__(self) -> None:
        self._machines: dict[str, Machine] = {}
        self._lock = threading.Lock()
        #: a queue for each thread in `wait_until`
        self._waiters: list[SimpleQueue[None]] = []

    def add(self, machine: Machine) -> None:
        """Add a machine as the last one."""
        with self._lock:
            self._machines.pop(machine.name, None)
            self._machines[machine.name] = machine

    def get(self, name: str) -> Machine | None:
        """Return the machine of this name, or None."""
        return self._machines.get(name)

    def all(self) -> list[Machine]:
        """Return all machines in order of their start, also those that have ended."""
        with self._lock:
            return list(self._machines.values())

    def live(self) -> list[Machine]:
        """Return the machines that have not ended."""
        return [machine for machine in self.all() if not machine.live.ended.is_set()]

    def names(self) -> list[str]:
        """Return the names of the machines that have not ended."""
        return [machine.name for machine in self.live()]

    def stop(self, grace_s: float, cut_off_s: float) -> None:
        """Stop all machines after their current jobs, or at once when the grace is over; wait until they have ended."""
        live = self.live()
        for machine in live:
            machine.stop()
        if not _ended_by(live, time.monotonic() + grace_s):
            for machine in live:
                machine.stop(drain=False)
            _ended_by(live, time.monotonic() + cut_off_s)

    def notify(self) -> None:
        """Have `wait_until` check its condition again; from any thread or signal handler, since it takes no lock."""
        for waiter in tuple(self._waiters):
            waiter.put(None)

    def wait_until(self, condition: Callable[[], bool], timeout_s: float | None) -> bool:
        """Wait for a condition, which is checked after each `notify`; return False after `timeout_s` seconds."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        waiter: SimpleQueue[None] = SimpleQueue()
        self._waiters.append(waiter)
        try:
            while not condition():
                waiter.get(timeout=None if deadline_s is None else max(0.0, deadline_s - time.monotonic()))
        except Empty:
            return condition()
        finally:
            self._waiters.remove(waiter)
        return True


def _ended_by(live: list[Machine], deadline_s: float) -> bool:
    """Wait until all have ended; return False at the deadline (monotonic)."""
    return all(machine.live.ended.wait(max(0.0, deadline_s - time.monotonic())) for machine in live)
