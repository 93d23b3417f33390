"""A summary of each machine's recent audit log, kept in memory for page loads and metrics."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ...storage.audit import Event

BUCKET_S = 60
#: buckets of activity that are kept
BUCKETS = 60

#: types of events that are counted for each machine
COUNTED = ("state_change", "unhandled", "error", "stuck")


@dataclass(slots=True)
class MachineSummary:
    """The summary of one machine."""

    #: epoch seconds at which it entered its state; None: before the time that is read back
    state_since: float | None = None
    #: time of the last transition, also into the same state
    entered_s: float | None = None
    last_error: str | None = None
    #: the job that it holds, as it reported
    job_id: str | None = None
    #: (minute since the epoch, events in it), oldest first
    activity: deque[list[int]] = field(default_factory=lambda: deque(maxlen=BUCKETS))


class Board:
    """The summaries and counters; the feed's thread writes them, requests read them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._summaries: dict[str, MachineSummary] = {}
        #: type of event -> machine -> number of events
        self.counts: dict[str, Counter[str]] = {type: Counter() for type in COUNTED}
        self.job_ends: Counter[tuple[str, str]] = Counter()
        #: (machine, state) -> [number of visits, seconds in them with their actions]
        self.state_times: dict[tuple[str, str], list[float]] = {}
        self.events = 0

    def take(self, events: Iterable[Event], *, count: bool = True) -> None:
        """Take in events; with `count` False they are from before the start, and no counter counts them."""
        with self._lock:
            for event in events:
                self._take(event, count)

    def machine(self, machine: str) -> MachineSummary:
        """Return the summary of a machine; an empty one if nothing is known."""
        return self._summaries.get(machine) or MachineSummary()

    def activity(self, machine: str, minutes: int, now_s: float) -> list[int]:
        """Return the number of events in each of the last minutes, the current one last."""
        last = int(now_s // BUCKET_S)
        counts = [0] * minutes
        with self._lock:
            for minute, number in self.machine(machine).activity:
                if 0 <= last - minute < minutes:
                    counts[minutes - 1 - (last - minute)] = number
        return counts

    # Helpers

    def _take(self, event: Event, count: bool) -> None:
        summary = self._summaries.get(event.machine or "")
        if summary is None:
            summary = self._summaries[event.machine or ""] = MachineSummary()
        payload = event.fields
        self._add_activity(summary, event.timestamp)
        if count:
            self._count(event, payload, summary)
        if event.type == "state_change":
            summary.entered_s = event.timestamp
            if payload.get("from_state") != payload.get("to_state"):
                summary.state_since = event.timestamp
        elif event.type == "machine_registered":
            summary.state_since = summary.entered_s = event.timestamp
            summary.last_error = summary.job_id = None
        elif event.type == "job_started":
            summary.job_id = str(payload.get("job_id"))
        elif event.type in ("job_completed", "job_failed"):
            summary.job_id = None
        elif event.type in ("error", "machine_failed"):
            summary.last_error = str(payload.get("error_message") or event.type)

    def _count(self, event: Event, payload: dict[str, Any], summary: MachineSummary) -> None:
        machine = event.machine or ""
        self.events += 1
        if event.type in self.counts:
            self.counts[event.type][machine] += 1
        if event.type == "state_change":
            self._add_state_time(machine, payload.get("from_state"), summary.entered_s, event.timestamp)
        elif event.type in ("job_completed", "job_failed"):
            self.job_ends[str(payload.get("job_type")), event.type.removeprefix("job_")] += 1

    def _add_state_time(self, machine: str, state: object, entered_s: float | None, left_s: float) -> None:
        if entered_s is not None and left_s >= entered_s:
            total = self.state_times.setdefault((machine, str(state)), [0, 0.0])
            total[0] += 1
            total[1] += left_s - entered_s

    @staticmethod
    def _add_activity(summary: MachineSummary, timestamp: float) -> None:
        minute = int(timestamp // BUCKET_S)
        if summary.activity and summary.activity[-1][0] == minute:
            summary.activity[-1][1] += 1
        elif not summary.activity or summary.activity[-1][0] < minute:
            summary.activity.append([minute, 1])
