"""The housekeeping thread: heartbeats, leases, rescue, and the look once a second at what rang no bell."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from ...storage import jobs, machines, mailbox
from ...storage.errors import StorageError
from ..concurrency.supervised_thread import SupervisedThread

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ...storage.jobs import Job
    from ..concurrency.wait_board import WaitBoard
    from ..metrics.counters import Counters
    from ..metrics.outage import Outage

log = logging.getLogger(__name__)

LOOK_S = 1.0
HEARTBEAT_S = 10.0
#: a machine whose process gave no heartbeat for so long is taken for dead
MACHINE_LEASE_S = 30.0
RESCUE_S = 5.0
#: the clock has been set when a round finds it off by so many seconds; no lease of others is judged before they can
#: have noticed as well
SET_S, NOTICE_S = 2.0, 3 * LOOK_S


class Charges(Protocol):
    """Whom a keeper looks after; all is called in its thread."""

    def names(self) -> list[str]:
        """The machines of this process that have not ended."""

    def watch(self) -> None:
        """Once a second, whether the store answers or not."""

    def look(self) -> None:
        """Once a second, while the store answers."""

    def changed(self) -> None:
        """Somebody has written to the store."""

    def unread(self, counts: Mapping[str, int]) -> None:
        """So many events wait in the mailboxes of these machines."""

    def job_failed(self, job: Job) -> None:
        """Its workers were gone too often."""

    def store_answers(self, began_s: float) -> None:
        """The store can be written: it took what was begun then (monotonic)."""

    def enter_again(self) -> None:
        """The store was emptied: enter the machines and their schedules again."""

    def clock_set(self, by_s: float) -> None:
        """The clock was set by so many seconds, forwards or (negative) back."""


class Maintenance:
    """Looks once a second whether another process changed the store; writes a heartbeat every ten."""

    def __init__(
        self,
        db: Database,
        incarnation: str,
        wait_board: WaitBoard,
        counters: Counters,
        charges: Charges,
        *,
        outage: Outage,
        given_up: Callable[[], None] = lambda: None,
        file_lost: Callable[[], None] = lambda: None,
    ) -> None:
        """`outage` hears of a store that fails; `file_lost` is called when the database's file is not at its path."""
        self._db = db
        self._incarnation = incarnation
        self._wait_board = wait_board
        self._counters = counters
        self._charges = charges
        self._outage = outage
        self._file_lost = file_lost
        self._clock_offset_s = db.clock.now() - time.monotonic()
        self._stopping = threading.Event()
        self._stirred = threading.Event()
        self._lock = threading.Lock()  # of what lease_taken changes
        self._leases_taken = 0
        self._thread = SupervisedThread(
            "sm-keeper", self._run, crashed=lambda: counters.add("keeper_crashed"), given_up=given_up
        )
        self._lease_s = MACHINE_LEASE_S
        self._next_beat_s = self._next_rescue_s = 0.0
        self._token: object = None
        self._unread_left = True

    def start(self) -> None:
        """Start the thread."""
        now_s = time.monotonic()
        self._next_beat_s, self._next_rescue_s = now_s + HEARTBEAT_S, now_s
        self._thread.start()

    def stop(self) -> None:
        """End the thread; idempotent, and safe before start."""
        self._stopping.set()
        self._stirred.set()
        self._thread.join(10.0)

    def lease_taken(self, lease_s: float) -> None:
        """A job's lease of this length is held: it is renewed three times within it."""
        with self._lock:
            self._leases_taken += 1
            if lease_s >= self._lease_s:
                return
            self._lease_s = lease_s
            self._next_beat_s = min(self._next_beat_s, time.monotonic() + self._interval_s)
        self._stirred.set()

    def look(self, now_s: float) -> None:
        """One round at `now_s` on the monotonic clock; apart from the loop, so that it can be called alone."""
        if self._db.has_lost_file():
            self._file_lost()
            return
        if now_s >= self._next_beat_s or self._outage.lasts:
            self._beat()
            self._counters.store(self._db)
            self._next_beat_s = now_s + self._interval_s
        if now_s >= self._next_rescue_s:
            self._rescue()
            self._next_rescue_s = now_s + RESCUE_S
        self._look_for_jobs()
        self._look_for_changes()
        self._charges.look()
        if self._counters.has_problems:
            self._counters.store(self._db)

    def look_at_clock(self, now_s: float) -> None:
        """Before a round: if the clock was set since the last one, ours are renewed before any lease is judged."""
        offset_s = self._db.clock.now() - now_s
        by_s = offset_s - self._clock_offset_s
        if abs(by_s) > SET_S:
            log.warning("the clock was set by %+.0f s: leases are renewed, and no delay changes", by_s)
            self._counters.add("clock_forwards" if by_s > 0 else "clock_back")
            self._db.agree_on_time()
            self._next_beat_s, self._next_rescue_s = now_s, now_s + NOTICE_S
            if by_s < 0:
                jobs.shorten_leases(self._db)
            self._charges.clock_set(by_s)
        self._clock_offset_s = offset_s  # last: what failed on the way is done again

    @property
    def _interval_s(self) -> float:
        return min(HEARTBEAT_S, self._lease_s / 3)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._stirred.wait(min(LOOK_S, self._interval_s))
            self._stirred.clear()
            if not self._stopping.is_set():
                self._attempt(self._charges.watch)
                self._attempt(self._round)
        self._attempt(lambda: self._counters.store(self._db))

    def _round(self) -> None:
        now_s = time.monotonic()
        self.look_at_clock(now_s)
        self.look(now_s)

    def _attempt(self, work: Callable[[], None]) -> None:
        began_s = time.monotonic()
        try:
            work()
        except StorageError as error:
            self._outage.met(error, began_s)
        except Exception:
            log.exception("housekeeping failed")

    def _beat(self) -> None:
        taken = self._leases_taken
        began_s = time.monotonic()
        with self._db.write():
            held = machines.heartbeat(self._db, self._incarnation, lease_s=MACHINE_LEASE_S)
            renewed = jobs.renew(self._db, self._incarnation)
        self._charges.store_answers(began_s)
        if held < len(self._charges.names()):
            self._charges.enter_again()
        with self._lock:
            if not renewed and taken == self._leases_taken:
                self._lease_s = MACHINE_LEASE_S  # no short lease is held any more: back to the leisurely pace

    def _rescue(self) -> None:
        for job in jobs.rescue(self._db):
            log.warning("job %s: its worker is gone: now %s after attempt %d", job.job_id, job.status, job.attempts)
            if job.status == "failed":
                self._charges.job_failed(job)
                self._wait_board.notify("done")
            elif job.status == "pending":
                self._wait_board.notify("jobs")
        mailbox.expire(self._db)

    def _look_for_jobs(self) -> None:
        """Jobs fall due without anybody writing, so they are looked for each time; one look a kind of worker."""
        keys = {_pair(key): key for key in self._wait_board.keys("jobs")}
        for pair in jobs.claimable(self._db, keys) if keys else ():
            self._wait_board.notify("jobs", keys[pair], 1, exact=True)

    def _look_for_changes(self) -> None:
        token = self._db.change_token()
        if token == self._token and not self._unread_left:
            return
        unread = mailbox.pending_targets(self._db, self._charges.names())
        self._unread_left = bool(unread)
        if unread:
            self._charges.unread(unread)
        if token != self._token:
            self._charges.changed()
            for topic in ("done", "events", "machine"):
                if self._wait_board.keys(topic):
                    self._wait_board.notify(topic)
        self._token = token  # last: what failed on the way is looked at again


def _pair(key: tuple[str | None, ...]) -> tuple[str | None, str | None]:
    job_type, machine_type = (*key, None, None)[:2]
    return job_type, machine_type
