"""Decides what a system's machines do next, without processes, threads or a clock of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ...storage.backoff import back_off

if TYPE_CHECKING:
    from ..definition.model import Outcome
    from .manifest import Member

Phase = Literal["off", "waiting", "starting", "running", "stopping", "ended", "failed"]
"""off: started by hand, or stopped; waiting: for its start; ended: by itself, well; failed: given up."""

ALIVE: tuple[Phase, ...] = ("starting", "running", "stopping")
READY: tuple[Phase, ...] = ("running", "ended")


@dataclass(slots=True)
class SupervisedMachine:
    """One machine and its state."""

    member: Member
    phase: Phase = "off"
    error: str | None = None
    """Reason of the last failure, or why it is stuck; None if there is none."""
    restarts: int = 0
    due_s: float = 0.0
    restarting: bool = False
    """It starts again when it has stopped."""
    failures: list[float] = field(default_factory=list)
    """Times of recent failures."""
    excused: int = 0
    """Number of consecutive starts that failed because the database was away."""

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.member.name


class Supervision:
    """The state of all machines; times are seconds of any one clock."""

    def __init__(self, members: Iterable[Member]) -> None:
        self.machines = {member.name: SupervisedMachine(member) for member in members}
        self.closing = False

    # What to do

    def begin(self) -> None:
        """Let all machines wait for their start, except those started by hand."""
        for machine in self.machines.values():
            if machine.member.auto:
                machine.phase = "waiting"

    def take_startable(self, now_s: float) -> list[SupervisedMachine]:
        """Return the machines to start now, in order, and mark them as starting."""
        found = []
        for machine in self._in("waiting"):
            if machine.due_s <= now_s and not self._waits_for(machine):
                machine.phase = "starting"
                found.append(machine)
        return found

    def next_due_s(self) -> float | None:
        """Return the time of the next start that depends on nothing else; None if there is none."""
        return min((machine.due_s for machine in self._in("waiting") if not self._waits_for(machine)), default=None)

    def close(self) -> None:
        """Start no machine any more, because the system stops."""
        self.closing = True
        for machine in self._in("waiting"):
            machine.phase = "off"

    def take_stoppable(self) -> list[SupervisedMachine]:
        """Return machines on which no running one depends, and mark them as stopping."""
        needed = {name for machine in self._in(*ALIVE) for name in machine.member.depends_on}
        found = [machine for machine in self._in("starting", "running") if machine.name not in needed]
        for machine in found:
            self.stop(machine.name)
        return found

    def stop(self, name: str, *, restart: bool = False) -> None:
        """Mark a machine as stopping; with `restart` it starts again afterwards."""
        machine = self.machines[name]
        machine.phase, machine.restarting = "stopping", restart

    def start(self, name: str, now_s: float) -> None:
        """Start a machine that does not run, at the user's request; forget its earlier failures."""
        machine = self.machines[name]
        machine.phase, machine.error, machine.due_s, machine.excused = "waiting", None, now_s, 0
        machine.failures.clear()

    # What happened

    def running(self, name: str) -> None:
        """Record that a machine has started."""
        machine = self.machines[name]
        if machine.phase == "starting":
            machine.phase, machine.error, machine.excused = "running", None, 0

    def stuck(self, name: str, error: str) -> None:
        """Record that a running machine has failed; it still answers events, so only the user restarts it."""
        self.machines[name].error = error

    def ended(self, name: str, outcome: Outcome | None, now_s: float) -> None:
        """Record that a machine has ended, by itself or because it was stopped."""
        machine = self.machines[name]
        if machine.phase == "stopping":
            self._stopped(machine, now_s)
        elif outcome == "failure" or machine.member.restart.policy == "always":
            self._try_again(machine, "it ended in failure" if outcome == "failure" else None, now_s)
        else:
            machine.phase = "ended"

    def lost(self, name: str, why: str, now_s: float, *, excused: bool = False) -> None:
        """Record that a machine could not start, or lost its process; `excused` counts as no failure of it."""
        machine = self.machines[name]
        if machine.phase == "stopping":
            self._stopped(machine, now_s)
        elif machine.phase in ALIVE:
            self._try_again(machine, why, now_s, excused)

    # How it stands

    @property
    def ready(self) -> bool:
        """True if all machines that start with the system run, or have ended well."""
        return all(machine.phase in READY for machine in self.machines.values() if machine.member.auto)

    @property
    def failed(self) -> list[SupervisedMachine]:
        """Machines that are given up, or stuck."""
        return [machine for machine in self._in("failed", "running") if machine.error is not None]

    @property
    def given_up(self) -> list[SupervisedMachine]:
        """Machines that are not started again."""
        return self._in("failed")

    @property
    def alive(self) -> list[SupervisedMachine]:
        """Machines that have a process."""
        return self._in(*ALIVE)

    @property
    def over(self) -> bool:
        """True if nothing runs and nothing will start."""
        return not self.alive and self.next_due_s() is None

    def blocked_by(self, name: str) -> list[SupervisedMachine]:
        """Return machines that it waits for and that will not start by themselves."""
        waited_for = self._waits_for(self.machines[name])
        return [
            machine for machine in waited_for if machine.phase in ("off", "failed") or self.blocked_by(machine.name)
        ]

    def _in(self, *phases: Phase) -> list[SupervisedMachine]:
        return [machine for machine in self.machines.values() if machine.phase in phases]

    def _waits_for(self, machine: SupervisedMachine) -> list[SupervisedMachine]:
        return [other for name in machine.member.depends_on if (other := self.machines[name]).phase not in READY]

    def _stopped(self, machine: SupervisedMachine, now_s: float) -> None:
        if machine.restarting and not self.closing:
            self.start(machine.name, now_s)
        else:
            machine.phase = "off"
        machine.restarting = False

    def _try_again(self, machine: SupervisedMachine, why: str | None, now_s: float, excused: bool = False) -> None:
        restart = machine.member.restart
        machine.error = why
        machine.failures = [at_s for at_s in machine.failures if now_s - at_s < restart.within_s]
        if excused:
            machine.excused += 1
        else:
            machine.failures.append(now_s)
        if self.closing:
            machine.phase = "off" if why is None else "failed"
        elif restart.policy == "never" or (not excused and len(machine.failures) >= restart.crashes):
            machine.phase, times = "failed", len(machine.failures)
            machine.error = (why or "it ended") + (f", {times} times in {restart.within_s:g} s" if times > 1 else "")
        else:
            delay_s = back_off(restart.delay_s, len(machine.failures) + machine.excused, longest_s=restart.max_delay_s)
            machine.phase, machine.due_s = "waiting", now_s + delay_s
            machine.restarts += 1
