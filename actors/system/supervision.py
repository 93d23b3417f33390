"""What a system's machines should do next, from what has become of them so far: no process, no thread, no clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ...storage.backoff import back_off

if TYPE_CHECKING:
    from ..definition.model import Outcome
    from .manifest import Member

Phase = Literal["off", "waiting", "starting", "running", "stopping", "ended", "failed"]
"""off: started by hand, or stopped; waiting: for its turn; ended: by itself, well; failed: given up."""

ALIVE: tuple[Phase, ...] = ("starting", "running", "stopping")
READY: tuple[Phase, ...] = ("running", "ended")


@dataclass(slots=True)
class SupervisedMachine:
    """One machine, and what has become of it."""

    member: Member
    phase: Phase = "off"
    error: str | None = None
    """Why it failed last, or why it is stuck; None while all is well."""
    restarts: int = 0
    due_s: float = 0.0
    again: bool = False
    """It starts anew when it has stopped."""
    failures: list[float] = field(default_factory=list)
    """When it failed lately."""
    excused: int = 0
    """Starts in a row that failed through no fault of its own."""

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.member.name


class Supervision:
    """The tracks of all machines; times are seconds of any one clock."""

    def __init__(self, members: Iterable[Member]) -> None:
        self.tracks = {member.name: SupervisedMachine(member) for member in members}
        self.closing = False

    # What to do

    def begin(self) -> None:
        """The system starts: all machines but those started by hand."""
        for track in self.tracks.values():
            if track.member.auto:
                track.phase = "waiting"

    def take_startable(self, now_s: float) -> list[SupervisedMachine]:
        """Machines to start now, in order; they count as starting from here on."""
        found = []
        for track in self._in("waiting"):
            if track.due_s <= now_s and not self._waits_for(track):
                track.phase = "starting"
                found.append(track)
        return found

    def next_due_s(self) -> float | None:
        """When the next machine is to be started that waits for nothing but the time."""
        return min((track.due_s for track in self._in("waiting") if not self._waits_for(track)), default=None)

    def close(self) -> None:
        """The system stops: nothing is started any more."""
        self.closing = True
        for track in self._in("waiting"):
            track.phase = "off"

    def take_stoppable(self) -> list[SupervisedMachine]:
        """While the system stops: machines that no running one depends on any more; they count as stopping then."""
        needed = {name for track in self._in(*ALIVE) for name in track.member.depends_on}
        found = [track for track in self._in("starting", "running") if track.name not in needed]
        for track in found:
            self.stop(track.name)
        return found

    def stop(self, name: str, *, again: bool = False) -> None:
        """The machine has been asked to stop."""
        track = self.tracks[name]
        track.phase, track.again = "stopping", again

    def start(self, name: str, now_s: float) -> None:
        """The user wants a machine that does not run to start; earlier failures are forgiven."""
        track = self.tracks[name]
        track.phase, track.error, track.due_s, track.excused = "waiting", None, now_s, 0
        track.failures.clear()

    # What happened

    def running(self, name: str) -> None:
        """It has started."""
        track = self.tracks[name]
        if track.phase == "starting":
            track.phase, track.error, track.excused = "running", None, 0

    def stuck(self, name: str, error: str) -> None:
        """It is marked failed, stays where it is and still answers events; a restart is for the user to decide."""
        self.tracks[name].error = error

    def ended(self, name: str, outcome: Outcome | None, now_s: float) -> None:
        """It is over, by itself or because it was asked to."""
        track = self.tracks[name]
        if track.phase == "stopping":
            self._stopped(track, now_s)
        elif outcome == "failure" or track.member.restart.policy == "always":
            self._try_again(track, "it ended in failure" if outcome == "failure" else None, now_s)
        else:
            track.phase = "ended"

    def lost(self, name: str, why: str, now_s: float, *, excused: bool = False) -> None:
        """It could not be started, or is gone with its process; `excused`: through no fault of its own."""
        track = self.tracks[name]
        if track.phase == "stopping":
            self._stopped(track, now_s)
        elif track.phase in ALIVE:
            self._try_again(track, why, now_s, excused)

    # How it stands

    @property
    def ready(self) -> bool:
        """All machines that start with the system run, or have ended well."""
        return all(track.phase in READY for track in self.tracks.values() if track.member.auto)

    @property
    def failed(self) -> list[SupervisedMachine]:
        """Machines that are given up, or stuck."""
        return [track for track in self.tracks.values() if track.phase == "failed" or self._is_stuck(track)]

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
        """Nothing runs, and nothing can start any more."""
        return not self.alive and self.next_due_s() is None

    def blocked_by(self, name: str) -> list[SupervisedMachine]:
        """Machines that it waits for and that will not start by themselves."""
        waited_for = self._waits_for(self.tracks[name])
        return [track for track in waited_for if track.phase in ("off", "failed") or self.blocked_by(track.name)]

    def _in(self, *phases: Phase) -> list[SupervisedMachine]:
        return [track for track in self.tracks.values() if track.phase in phases]

    def _waits_for(self, track: SupervisedMachine) -> list[SupervisedMachine]:
        return [other for name in track.member.depends_on if (other := self.tracks[name]).phase not in READY]

    def _is_stuck(self, track: SupervisedMachine) -> bool:
        return track.phase == "running" and track.error is not None

    def _stopped(self, track: SupervisedMachine, now_s: float) -> None:
        if track.again and not self.closing:
            self.start(track.name, now_s)
        else:
            track.phase = "off"
        track.again = False

    def _try_again(self, track: SupervisedMachine, why: str | None, now_s: float, excused: bool = False) -> None:
        restart = track.member.restart
        track.error = why
        track.failures = [at_s for at_s in track.failures if now_s - at_s < restart.within_s]
        if excused:
            track.excused += 1
        else:
            track.failures.append(now_s)
        if self.closing:
            track.phase = "off" if why is None else "failed"
        elif restart.policy == "never" or (not excused and len(track.failures) >= restart.crashes):
            track.phase, times = "failed", len(track.failures)
            track.error = (why or "it ended") + (f", {times} times in {restart.within_s:g} s" if times > 1 else "")
        else:
            delay_s = back_off(restart.delay_s, len(track.failures) + track.excused, longest_s=restart.max_delay_s)
            track.phase, track.due_s = "waiting", now_s + delay_s
            track.restarts += 1
