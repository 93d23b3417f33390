"""Fires the schedules of the machines of this process; each firing is taken by one runtime of the store only."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ...storage import jobs, mailbox, schedules
from ...storage.errors import JobExists, StorageError
from ..definition.schedule import Due, Schedule, ScheduledEvent, ScheduledJob, due
from ..placeholders.timestamps import stamped

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ...storage.mailbox import MailboxMessage
    from ..definition.model import Definition
    from .router import Router

log = logging.getLogger(__name__)

NEVER = float("inf")

#: seconds that delivering one event may take
DELIVERY_S = 0.5


@dataclass(slots=True)
class _Entry:
    schedule: Schedule
    machines: set[str]
    next_at: float


@dataclass(slots=True)
class _Firing:
    """The rows that a firing adds, to be announced after the commit."""

    events: list[MailboxMessage] = field(default_factory=list)
    added: list[tuple[str, str | None]] = field(default_factory=list)
    left_out: int = 0
    result: str = ""


class Scheduler:
    """Remembers when the next firing is due, so that an earlier look needs no query; thread-safe."""

    def __init__(self, db: Database, router: Router, *, names: Callable[[], list[str]]) -> None:
        """`names` returns the running machines; a schedule is followed as long as one of its machines runs."""
        self._db = db
        self._router = router
        self._names = names
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()

    def follow(self, definition: Definition, machine: str) -> None:
        """Add the schedules of a started machine; firings that were due while no machine ran come at the next look."""
        for schedule in definition.schedules:
            name = schedule_id(schedule, definition.config_type, machine)
            planned = schedules.ScheduleRow(
                name,
                machine_name=machine,
                config_type=definition.config_type,
                cron=schedule.cron.expression,
                timezone=schedule.cron.timezone,
                what=schedule.what,
                spec=str(schedule.cron),
                next_at=schedule.cron.after(self._db.now()),
            )
            row = schedules.register(self._db, planned)
            with self._lock:
                known = self._entries.get(name)
                others = known.machines if known else set()
                self._entries[name] = _Entry(schedule, {machine, *others}, _or_never(row.next_at))

    def look(self) -> None:
        """Fire the schedules that are due."""
        if not self._entries:
            return
        now = self._db.now()
        with self._lock:
            for name, entry in list(self._entries.items()):
                if entry.next_at <= now:
                    self._look_at(name, entry, now)

    def plan_again(self) -> None:
        """Plan all firings by the new time after the clock was set back.

        Firings between the new time and the old one are repeated, but no job whose id exists is added again.
        """
        now = self._db.now()
        with self._lock:
            for name, entry in self._entries.items():
                next_at, spec = entry.schedule.cron.after(now), str(entry.schedule.cron)
                if next_at is not None and next_at < entry.next_at < NEVER:
                    schedules.claim(self._db, name, spec=spec, seen=entry.next_at, next_at=next_at)
                    entry.next_at = next_at

    # Helpers

    def _look_at(self, name: str, entry: _Entry, now: float) -> None:
        entry.machines &= set(self._names())
        if not entry.machines:
            self._entries.pop(name, None)
            return
        try:
            firing = self._fire(name, entry, now)
        except StorageError as error:
            log.error("schedule %s: %s", name, error)
            return
        if firing is not None:
            log.info("schedule %s: %s", name, firing.result)
            self._announce(firing)

    def _fire(self, name: str, entry: _Entry, now: float) -> _Firing | None:
        """Claim and carry out firings in one transaction; None if none is due, or another runtime was first."""
        schedule = entry.schedule
        with self._db.write():
            row = schedules.get(self._db, name)
            if row is None or row.spec != str(schedule.cron):
                log.warning("schedule %s was replaced in the store; this machine's is no longer followed", name)
                entry.next_at = NEVER
                return None
            if row.next_at is None or row.next_at > now:
                entry.next_at = _or_never(row.next_at)
                return None
            plan = due(schedule, row.next_at, now)
            if not schedules.claim(self._db, name, spec=row.spec, seen=row.next_at, next_at=plan.next_at):
                return None
            firing = self._carry_out(name, entry, plan)
        entry.next_at = _or_never(plan.next_at)
        return firing

    def _carry_out(self, name: str, entry: _Entry, plan: Due) -> _Firing:
        firing = _Firing(left_out=plan.left_out)
        if plan.left_out:
            firing.result = "missed firings were left out"
        for at in plan.firings:
            if isinstance(entry.schedule.does, ScheduledJob):
                self._add_job(name, entry.schedule, entry.schedule.does, at, firing)
            else:
                self._send(name, entry, entry.schedule.does, at, firing)
        last_at = plan.firings[-1] if plan.firings else None
        fired = len(firing.events) + len(firing.added)
        schedules.note(self._db, name, last_at=last_at, result=firing.result, fired=fired, left_out=firing.left_out)
        return firing

    def _add_job(self, name: str, schedule: Schedule, job: ScheduledJob, at: float, firing: _Firing) -> None:
        wanted, payload = stamped([job.job_id or f"{name}-{_utc(at)}", job.payload], at, schedule.cron.zone)
        try:
            added = jobs.enqueue(
                self._db,
                wanted,
                job.type,
                machine_type=job.machine_type,
                data=payload,
                priority=job.priority,
                max_attempts=job.max_attempts,
                backoff_s=job.backoff_s,
                time_limit_s=job.time_limit_s,
                unique_key=f"schedule:{name}" if schedule.overlap == "skip" else None,
                metadata={"schedule": name, "scheduled_for": _utc(at)},
            )
        except JobExists:
            firing.left_out += 1
            firing.result = f"left out: there is a job {wanted}"
            return
        if added.job_id != wanted:
            firing.left_out += 1
            firing.result = f"left out: job {added.job_id} is not done"
            return
        firing.result = f"job {wanted}"
        firing.added.append((job.type, job.machine_type))

    def _send(self, name: str, entry: _Entry, event: ScheduledEvent, at: float, firing: _Firing) -> None:
        target = event.target or min(entry.machines)
        source = f"schedule:{name}"
        if entry.schedule.overlap == "skip" and mailbox.waits(self._db, target, event.type, source):
            firing.left_out += 1
            firing.result = f"left out: {target} has not read the event before"
            return
        payload = stamped(event.payload, at, entry.schedule.cron.zone)
        firing.events.append(mailbox.post(self._db, target, event.type, payload, source=source))
        firing.result = f"event {event.type} to {target}"

    def _announce(self, firing: _Firing) -> None:
        for key in dict.fromkeys(firing.added):
            self._router.notify("jobs", key, firing.added.count(key))
        for event in firing.events:
            self._router.deliver(event, DELIVERY_S)


def schedule_id(schedule: Schedule, config_type: str, machine: str) -> str:
    """Return a schedule's id: one for a file, or one for each machine if it sends the machine an event."""
    own = isinstance(schedule.does, ScheduledEvent) and schedule.does.target is None
    return f"{schedule.name}@{machine}" if own else f"{config_type}.{schedule.name}"


def _or_never(moment: float | None) -> float:
    return NEVER if moment is None else moment


def _utc(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y%m%dT%H%M%SZ}"
