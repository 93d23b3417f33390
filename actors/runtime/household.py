"""What the keeper looks after in a process: its machines, and the parts that feed them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..machine.messages import Unread

if TYPE_CHECKING:
    from ...storage.jobs import Job
    from ..audit.recorder import Recorder
    from .machine_registry import MachineRegistry
    from .router import Router
    from .scheduler import Scheduler
    from .standby import Standby
    from .supervisor import Supervisor
    from .watchdog import Watchdog

#: the clock is set back by a correction if it is by more than so many seconds: less is drift, and no firing is repeated
SET_BACK_S = 60.0


class Household:
    """The keeper's `Charges`. Machines are left to themselves once it is `closed`."""

    def __init__(
        self,
        machine_registry: MachineRegistry,
        router: Router,
        recorder: Recorder,
        supervisor: Supervisor,
        scheduler: Scheduler,
        standby: Standby,
        watchdog: Watchdog,
        *,
        progress: Callable[[], None],
    ) -> None:
        """`progress` is called once a second while actors and recorder make it."""
        self._machine_registry = machine_registry
        self._router = router
        self._recorder = recorder
        self._supervisor = supervisor
        self._scheduler = scheduler
        self._standby = standby
        self._watchdog = watchdog
        self._progress = progress
        self.closed = False

    def names(self) -> list[str]:
        return self._machine_registry.names()

    def watch(self) -> None:
        if self.closed:
            return
        self._watchdog.look(time.monotonic())
        self._supervisor.look()
        if self._watchdog.actors_move and self._recorder.moves:
            self._progress()

    def look(self) -> None:
        if self.closed:
            return
        if self._standby.look():
            self._machine_registry.notify()  # the machine may have ended before it was off the list
        self._scheduler.look()

    def changed(self) -> None:
        self._router.look_after_jobs()

    def unread(self, counts: Mapping[str, int]) -> None:
        for machine in self._machine_registry.live():
            if machine.name in counts:
                machine.tell(Unread())

    def job_failed(self, job: Job) -> None:
        self._router.job_failed(job)

    def store_answers(self, began_s: float) -> None:
        self._recorder.store_answers(began_s)

    def enter_again(self) -> None:
        for machine in self._machine_registry.live():
            if self._supervisor.enter_again(machine):
                self._scheduler.follow(machine.definition, machine.name)

    def clock_set(self, by_s: float) -> None:
        if by_s < -SET_BACK_S:
            self._scheduler.plan_anew()
