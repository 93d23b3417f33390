"""Machines that wait until another process gives their names free."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from ...storage.errors import MachineTaken

if TYPE_CHECKING:
    from .machine import Machine

log = logging.getLogger(__name__)


class Standby:
    """The waiting machines of a runtime.

    `acquire` takes a machine's name or raises MachineTaken; `launch` starts a machine that has its name.
    """

    def __init__(self, acquire: Callable[[Machine], None], launch: Callable[[Machine], None]) -> None:
        self._acquire = acquire
        self._launch = launch
        self._waiting: list[Machine] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def wait(self, machine: Machine) -> None:
        """Start the machine when its name is free."""
        log.info("%s: runs elsewhere; standing by", machine.name)
        machine.live.status = "standby"
        self._waiting.append(machine)

    def look(self) -> bool:
        """Try to start each waiting machine; return True if one has started."""
        started = False
        for machine in list(self._waiting):
            try:
                self._acquire(machine)
            except MachineTaken:
                continue
            log.info("%s: taking over", machine.name)
            self._launch(machine)
            self._waiting.remove(machine)
            started = True
        return started
