"""Machines whose names are taken, and which take over when those are free."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from ...storage.errors import MachineTaken

if TYPE_CHECKING:
    from .machine import Machine

log = logging.getLogger(__name__)


class Standby:
    """`acquire` takes a machine's name or raises MachineTaken; `launch` starts one that has it."""

    def __init__(self, acquire: Callable[[Machine], None], launch: Callable[[Machine], None]) -> None:
        self._acquire = acquire
        self._launch = launch
        self._waiting: list[Machine] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def wait(self, machine: Machine) -> None:
        """Start it when its name is free."""
        log.info("%s: runs elsewhere; standing by", machine.name)
        machine.machine_status.status = "standby"
        self._waiting.append(machine)

    def look(self) -> bool:
        """Try all of them again; whether one has started."""
        started = False
        for machine in list(self._waiting):
            if self._starts(machine):
                self._waiting.remove(machine)
                started = True
        return started

    def _starts(self, machine: Machine) -> bool:
        try:
            self._acquire(machine)
        except MachineTaken:
            return False
        log.info("%s: taking over", machine.name)
        self._launch(machine)
        return True
