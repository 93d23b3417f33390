"""The schedules of a machine, and the decision which missed firings still count."""

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
"""A firing that is at most this late does not count as missed."""

MOST_AT_ONCE = 100
"""The most firings made up for in one transaction. The rest follows at the next check."""


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
    """The receiving machine; None for the machine itself."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """One entry of `schedules:`."""

    name: str
    cron: Cron
    does: ScheduledJob | ScheduledEvent
    missed: Missed = "once"
    window_s: float = DEFAULT_WINDOW_S
    """The greatest age of a missed firing that is still made up for."""
    overlap: Overlap = "allow"
    """`skip`: a firing does not count while the job or event of the firing before is not done."""
    description: str | None = None

    @property
    def what(self) -> str:
        """Its job or event, as text for a list."""
        if isinstance(self.does, ScheduledJob):
            return f"job {self.does.type}"
        return f"event {self.does.type}" + (f" to {self.does.target}" if self.does.target else "")


@dataclass(frozen=True, slots=True)
class Due:
    """The firings of a schedule to carry out now."""

    firings: tuple[float, ...]
    """The firings to carry out, in epoch seconds, oldest first."""
    next_at: float | None
    """The firing to wait for next; not later than now if more firings are to be made up for."""
    left_out: int
    """The number of firings dropped. All those older than the window count as one."""


def due(schedule: Schedule, waited_for: float, now: float) -> Due:
    """Decide which of the firings from `waited_for` until now (epoch seconds) are carried out."""
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
