"""Fires the schedules of the machines that run here; of all runtimes on one store, one alone takes a firing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from ...storage import jobs, machines, mailbox, schedules
from ...storage.errors import JobExists, StorageError
from ..definition.schedule import Due, Schedule, ScheduledEvent, ScheduledJob, due
from ..placeholders.timestamps import stamped
from ..processes.liveness import is_here, is_running
from ..sockets import datagrams, unix_socket

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ...storage.mailbox import MailboxMessage
    from ..definition.model import Definition

log = logging.getLogger(__name__)

NEVER = float("inf")

RING_S = 0.5


class Hub(Protocol):
    """The runtime as the scheduler sees it."""

    def hand(self, letter: MailboxMessage) -> bool:
        """Give a stored event to a machine of this process; False when it does not run here."""

    def wake(self, topic: str, key: tuple[str | None, ...], count: int) -> None:
        """Re-run parked actions that watch for this, here and in other processes."""


@dataclass(slots=True)
class _Entry:
    schedule: Schedule
    machines: set[str]
    next_at: float


@dataclass(slots=True)
class _Firing:
    """What one round puts in, and whom to tell of it once it is committed."""

    letters: list[MailboxMessage] = field(default_factory=list)
    added: list[tuple[str, str | None]] = field(default_factory=list)
    fired: int = 0
    left_out: int = 0
    result: str = ""


class Scheduler:
    """Remembers when the next firing is due, so that a look before then costs nothing; thread-safe."""

    def __init__(self, db: Database, router: Hub, *, names: Callable[[], list[str]]) -> None:
        """`names`: the machines that run here; a schedule is followed as long as one of its machines does."""
        self._db = db
        self._router = router
        self._names = names
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()

    def follow(self, definition: Definition, machine: str) -> None:
        """Enter the schedules of a machine that has started; what was due while nobody ran comes at the next look."""
        for schedule in definition.schedules:
            name = schedule_id(schedule, definition.config_type, machine)
            row = schedules.register(
                self._db,
                name,
                machine_name=machine,
                config_type=definition.config_type,
                cron=schedule.cron.expression,
                timezone=schedule.cron.timezone,
                what=schedule.what,
                spec=str(schedule.cron),
                next_at=schedule.cron.after(self._db.now()),
            )
            with self._lock:
                known = self._entries.get(name)
                others = known.machines if known else set()
                self._entries[name] = _Entry(schedule, {machine, *others}, _or_never(row.next_at))

    def look(self) -> None:
        """Fire what is due."""
        if not self._entries:
            return
        now = self._db.now()
        with self._lock:
            for name, entry in list(self._entries.items()):
                if entry.next_at <= now:
                    self._look_at(name, entry, now)

    def plan_anew(self) -> None:
        """The clock was set back: what is planned by the old time would be long in coming, so it is planned by the new.

        What has fired between the new time and the old fires again; a job whose id is there is left out, as ever.
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
            self._tell(firing)

    def _fire(self, name: str, entry: _Entry, now: float) -> _Firing | None:
        """Claim and carry out in one transaction; None when another runtime was first, or there is nothing to do."""
        schedule = entry.schedule
        with self._db.write():
            row = schedules.get(self._db, name)
            if row is None or row.spec != str(schedule.cron):
                log.warning("schedule %s is another one in the store by now; this machine's is not followed", name)
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
        schedules.note(
            self._db, name, last_at=last_at, result=firing.result, fired=firing.fired, left_out=firing.left_out
        )
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
        firing.fired += 1
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
        firing.letters.append(mailbox.post(self._db, target, event.type, payload, source=source))
        firing.fired += 1
        firing.result = f"event {event.type} to {target}"

    def _tell(self, firing: _Firing) -> None:
        for key in dict.fromkeys(firing.added):
            self._router.wake("jobs", key, firing.added.count(key))
        for letter in firing.letters:
            if self._router.hand(letter):
                continue
            row = machines.get(self._db, letter.target)
            if row and row.control_socket and is_here(row) and is_running(row, self._db.now()):
                unix_socket.ring(row.control_socket, datagrams.letter_message(letter), RING_S)


def schedule_id(schedule: Schedule, config_type: str, machine: str) -> str:
    """Whose a schedule is: the file's, however many machines run from it, or a machine's own, if it gets the event."""
    own = isinstance(schedule.does, ScheduledEvent) and schedule.does.target is None
    return f"{schedule.name}@{machine}" if own else f"{config_type}.{schedule.name}"


def _or_never(moment: float | None) -> float:
    return NEVER if moment is None else moment


def _utc(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y%m%dT%H%M%SZ}"
