"""What the audit log said about each machine lately: kept in mind, so that no page load has to search for it."""

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


@dataclass(slots=True)
class Memory:
    """One machine."""

    #: epoch seconds at which it came into its state; None: longer ago than we look back
    state_since: float | None = None
    #: when it entered its state last, if only again
    entered_s: float | None = None
    last_error: str | None = None
    #: the job that it works on, by its own account
    job_id: str | None = None
    #: (minute since the epoch, events in it), oldest first
    activity: deque[list[int]] = field(default_factory=lambda: deque(maxlen=BUCKETS))


class Board:
    """Written by the feed's thread, read by requests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._memories: dict[str, Memory] = {}
        self.transitions: Counter[str] = Counter()
        self.unhandled: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.stuck: Counter[str] = Counter()
        self.job_ends: Counter[tuple[str, str]] = Counter()
        #: by machine and state: how often it was left, and the seconds spent in it, actions included
        self.stays: dict[tuple[str, str], list[float]] = {}
        self.events = 0

    def take(self, events: Iterable[Event], *, count: bool = True) -> None:
        """Remember events; `count` False: those from before our time, which no counter counts."""
        with self._lock:
            for event in events:
                self._take(event, count)

    def memory(self, machine: str) -> Memory:
        """What is known of a machine; an empty one if nothing is."""
        return self._memories.get(machine) or Memory()

    def activity(self, machine: str, minutes: int, now_s: float) -> list[int]:
        """Events in each of the last minutes, the current one last."""
        last = int(now_s // BUCKET_S)
        counts = [0] * minutes
        with self._lock:
            for minute, number in self.memory(machine).activity:
                if 0 <= last - minute < minutes:
                    counts[minutes - 1 - (last - minute)] = number
        return counts

    # Helpers

    def _take(self, event: Event, count: bool) -> None:
        memory = self._memories.get(event.machine or "")
        if memory is None:
            memory = self._memories[event.machine or ""] = Memory()
        payload = event.payload if isinstance(event.payload, dict) else {}
        self._counters(memory, event.timestamp)
        if count:
            self._count(event, payload, memory)
        if event.type == "state_change":
            memory.entered_s = event.timestamp
            if payload.get("from_state") != payload.get("to_state"):
                memory.state_since = event.timestamp
        elif event.type == "machine_registered":
            memory.state_since = memory.entered_s = event.timestamp
            memory.last_error = memory.job_id = None
        elif event.type == "job_started":
            memory.job_id = str(payload.get("job_id"))
        elif event.type in ("job_completed", "job_failed"):
            memory.job_id = None
        elif event.type in ("error", "machine_failed"):
            memory.last_error = str(payload.get("error_message") or event.type)

    def _count(self, event: Event, payload: dict[str, Any], memory: Memory) -> None:
        machine = event.machine or ""
        self.events += 1
        if event.type == "state_change":
            self.transitions[machine] += 1
            self._stayed(machine, payload.get("from_state"), memory.entered_s, event.timestamp)
        elif event.type == "unhandled":
            self.unhandled[machine] += 1
        elif event.type == "error":
            self.errors[machine] += 1
        elif event.type == "stuck":
            self.stuck[machine] += 1
        elif event.type in ("job_completed", "job_failed"):
            self.job_ends[str(payload.get("job_type")), event.type.removeprefix("job_")] += 1

    def _stayed(self, machine: str, state: object, entered_s: float | None, left_s: float) -> None:
        if entered_s is not None and left_s >= entered_s:
            stay = self.stays.setdefault((machine, str(state)), [0, 0.0])
            stay[0] += 1
            stay[1] += left_s - entered_s

    @staticmethod
    def _counters(memory: Memory, timestamp: float) -> None:
        minute = int(timestamp // BUCKET_S)
        if memory.activity and memory.activity[-1][0] == minute:
            memory.activity[-1][1] += 1
        elif not memory.activity or memory.activity[-1][0] < minute:
            memory.activity.append([minute, 1])
