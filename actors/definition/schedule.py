"""What a machine's file wants done by the clock, and which firings count when some were missed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from .cron import Cron

Missed = Literal["skip", "once", "all"]
Overlap = Literal["allow", "skip"]

DEFAULT_WINDOW_S = 86_400.0
LONGEST_WINDOW_S = 31 * 86_400.0

PROMPT_S = 60.0
"""A firing that is seen to within so many seconds was not missed, only late."""

MOST_AT_ONCE = 100
"""Firings made up for in one transaction; the rest follows at the next look."""


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """The job that a firing adds."""

    type: str
    job_id: str | None = None
    payload: Any = field(default=None, hash=False)
    machine_type: str | None = None
    priority: int = 5
    max_attempts: int | None = None
    backoff_s: float | None = None
    time_limit_s: float | None = None


@dataclass(frozen=True, slots=True)
class ScheduledEvent:
    """The event that a firing sends."""

    type: str
    payload: Any = field(default=None, hash=False)
    target: str | None = None
    """None: the machine itself."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """One entry of `schedules:`."""

    name: str
    cron: Cron
    does: ScheduledJob | ScheduledEvent
    missed: Missed = "once"
    window_s: float = DEFAULT_WINDOW_S
    """How long ago a missed firing may be and still be made up for."""
    overlap: Overlap = "allow"
    """Whether a firing counts while what the one before has put in is not done."""
    description: str | None = None

    @property
    def what(self) -> str:
        """What it does, in a few words."""
        if isinstance(self.does, ScheduledJob):
            return f"job {self.does.type}"
        return f"event {self.does.type}" + (f" to {self.does.target}" if self.does.target else "")


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done about a schedule whose time has come."""

    firings: tuple[float, ...]
    """Epoch seconds of those to carry out, oldest first."""
    next_at: float | None
    """The firing to wait for then; not later than now if more are to be made up for."""
    left_out: int
    """How many are dropped. What is older than the window is counted as one."""


def due(schedule: Schedule, waited_for: float, now: float) -> Due:
    """Decide about the firings from `waited_for` until now (epoch seconds)."""
    window_s = max(schedule.window_s, PROMPT_S) if schedule.missed != "skip" else PROMPT_S
    oldest = now - window_s
    dropped = int(waited_for < oldest)
    begin = waited_for if not dropped else schedule.cron.after(oldest)
    past = list(islice(_until(now, begin, schedule.cron), MOST_AT_ONCE if schedule.missed == "all" else None))
    if schedule.missed != "all" and len(past) > 1:
        dropped += len(past) - 1
        past = past[-1:]
    return Due(tuple(past), schedule.cron.after(past[-1] if past else now), dropped)


def _until(now: float, begin: float | None, cron: Cron) -> Iterable[float]:
    if begin is None or begin > now:
        return
    yield begin
    for at in cron.firings(begin):
        if at > now:
            return
        yield at
