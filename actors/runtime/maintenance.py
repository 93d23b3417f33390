"""The maintenance thread: small tasks that run at intervals, each on its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...storage import jobs, machines, mailbox
from ...storage.errors import StorageError
from ..concurrency.supervised_thread import SupervisedThread
from ..machine.messages import Unread
from ..metrics.outage import RateLimit

if TYPE_CHECKING:
    from ..machine.dependencies import ProcessResources
    from .machine_registry import MachineRegistry
    from .router import Router
    from .scheduler import Scheduler
    from .standby import Standby
    from .supervisor import Supervisor
    from .watchdog import Watchdog

log = logging.getLogger(__name__)

#: seconds between two looks, which find what no notification announced
LOOK_S = 1.0
HEARTBEAT_S = 10.0
RESCUE_S = 5.0

#: the clock was set if it is off by more than SET_S at a look; jobs of others are rescued NOTICE_S later, once those
#: processes have noticed it as well
SET_S, NOTICE_S = 2.0, 3 * LOOK_S

#: seconds by which a clock that was set back repeats firings; less is drift
SET_BACK_S = 60.0


@dataclass(slots=True, eq=False)
class Task:
    """Work that is due again `interval_s` seconds after its last run; 0: at each look."""

    name: str
    interval_s: float
    run: Callable[[], object]
    #: True if it looks after machines, and ends when the runtime begins to stop
    for_machines: bool = False
    #: monotonic seconds
    next_s: float = 0.0
    failures: RateLimit = field(default_factory=RateLimit)


class Maintenance:
    """Runs the tasks of a process that are due once a second; a task that fails stops no other and runs again."""

    def __init__(
        self,
        resources: ProcessResources,
        machine_registry: MachineRegistry,
        router: Router,
        supervisor: Supervisor,
        scheduler: Scheduler,
        standby: Standby,
        watchdog: Watchdog,
        *,
        progress: Callable[[], None],
        given_up: Callable[[], None] = lambda: None,
        file_lost: Callable[[], None] = lambda: None,
    ) -> None:
        """`progress` is called at each look while actors and recorder make progress.

        `file_lost` is called when the database's file is no longer at its path.
        """
        #: True once the runtime stops: machines are no longer looked after, but their leases are renewed
        self.closed = False
        self._resources, self._db = resources, resources.db
        self._recorder, self._wait_board = resources.recorder, resources.wait_board
        self._machine_registry, self._router = machine_registry, router
        self._supervisor, self._scheduler, self._standby = supervisor, scheduler, standby
        self._watchdog, self._progress, self._file_lost = watchdog, progress, file_lost
        self._stopping, self._stirred = threading.Event(), threading.Event()
        self._lock = threading.Lock()  # for the heartbeat's interval, which `lease_taken` changes
        self._leases_taken = 0
        self._clock_offset_s = self._db.clock.now() - time.monotonic()
        self._token: object = None
        self._unread_left = True
        self._thread = SupervisedThread(
            "sm-maintenance",
            self._run,
            crashed=lambda: resources.counters.add("keeper_crashed"),
            given_up=given_up,
        )
        self._clock = Task("clock", 0.0, self._look_at_clock)
        self._heartbeat = Task("heartbeat", HEARTBEAT_S, self._beat)
        self._rescue = Task("rescue", RESCUE_S, self._rescue_jobs)
        self._counters = Task("counters", HEARTBEAT_S, lambda: resources.counters.store(self._db))
        self._tasks = [
            Task("watchdog", 0.0, lambda: watchdog.look(time.monotonic()), for_machines=True),
            Task("control sockets", 0.0, supervisor.look, for_machines=True),
            Task("progress", 0.0, self._report_progress, for_machines=True),
            self._heartbeat,
            self._rescue,
            Task("expired events", RESCUE_S, lambda: mailbox.expire(self._db)),
            Task("due jobs", 0.0, self._look_for_jobs),
            Task("changes", 0.0, self._look_for_changes),
            Task("standby", 0.0, self._look_for_free_names, for_machines=True),
            Task("schedules", 0.0, scheduler.look, for_machines=True),
            self._counters,
            Task("problems", 0.0, self._store_problems),
        ]

    def start(self) -> None:
        """Start the thread."""
        self._heartbeat.next_s = time.monotonic() + HEARTBEAT_S
        self._thread.start()

    def stop(self) -> None:
        """End the thread; idempotent, and allowed before start."""
        self._stopping.set()
        self._stirred.set()
        self._thread.join(10.0)

    def lease_taken(self, lease_s: float) -> None:
        """Renew a job's lease of this length three times within it; from any thread."""
        with self._lock:
            self._leases_taken += 1
            if lease_s / 3 >= self._heartbeat.interval_s:
                return
            self._heartbeat.interval_s = lease_s / 3
            self._heartbeat.next_s = min(self._heartbeat.next_s, time.monotonic() + lease_s / 3)
        self._stirred.set()

    def look(self, now_s: float) -> None:
        """Run the tasks that are due at `now_s` on the monotonic clock; separate from the loop for tests."""
        if self._db.has_lost_file():
            self._file_lost()
            return
        if self._recorder.outage.lasts:
            self._heartbeat.next_s = now_s  # its success ends the outage
        for task in self._tasks:
            if now_s < task.next_s or (self.closed and task.for_machines):
                continue
            with self._lock:
                task.next_s = now_s + task.interval_s
            if not self._attempt(task):
                task.next_s = now_s

    # The loop

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._stirred.wait(min(LOOK_S, self._heartbeat.interval_s))
            self._stirred.clear()
            if not self._stopping.is_set():
                self._attempt(self._clock)
                self.look(time.monotonic())
        self._attempt(self._counters)

    def _attempt(self, task: Task) -> bool:
        """Run a task; log what it raises and return False."""
        began_s = time.monotonic()
        try:
            task.run()
        except StorageError as error:
            self._recorder.outage.met(error, began_s)
            return False
        except Exception:
            if task.failures.due():
                log.exception("the maintenance task %r failed; it runs again", task.name)
            return False
        return True

    # Tasks

    def _look_at_clock(self) -> None:
        """Notice that the clock was set; renew our leases before those of others are judged."""
        now_s = time.monotonic()
        offset_s = self._db.clock.now() - now_s
        by_s = offset_s - self._clock_offset_s
        if abs(by_s) > SET_S:
            log.warning("the clock was set by %+.0f s: leases are renewed, and no delay changes", by_s)
            self._resources.counters.add("clock_forwards" if by_s > 0 else "clock_back")
            self._db.agree_on_time()
            self._heartbeat.next_s, self._rescue.next_s = now_s, now_s + NOTICE_S
            if by_s < 0:
                jobs.shorten_leases(self._db)
            if by_s < -SET_BACK_S:
                self._scheduler.plan_again()
        self._clock_offset_s = offset_s  # last, so that a failed look is repeated

    def _report_progress(self) -> None:
        if self._watchdog.actors_move and self._recorder.moves:
            self._progress()

    def _beat(self) -> None:
        """Renew the leases of machines and jobs; register machines that the store does not know."""
        taken = self._leases_taken
        began_s = time.monotonic()
        with self._db.write():
            held = machines.heartbeat(self._db, self._resources.incarnation)
            renewed = jobs.renew(self._db, self._resources.incarnation)
        self._recorder.store_answers(began_s)
        live = self._machine_registry.live()
        if held < len(live):
            for machine in live:
                if self._supervisor.enter_again(machine):
                    self._scheduler.follow(machine.definition, machine.name)
        with self._lock:
            if not renewed and taken == self._leases_taken:
                self._heartbeat.interval_s = HEARTBEAT_S  # no short lease is held any more

    def _store_problems(self) -> None:
        if self._resources.counters.has_problems:
            self._resources.counters.store(self._db)

    def _rescue_jobs(self) -> None:
        """Queue or fail the jobs whose workers have disappeared."""
        for job in jobs.rescue(self._db):
            log.warning("job %s: its worker is gone: now %s after attempt %d", job.job_id, job.status, job.attempts)
            if job.status == "failed":
                payload = {"job_id": job.job_id, "job_type": job.job_type, "error_message": job.error_message}
                self._recorder.publish(job.machine or "maintenance", "job_failed", payload)
                self._wait_board.notify("done")
            elif job.status == "pending":
                self._wait_board.notify("jobs")

    def _look_for_jobs(self) -> None:
        """Notify one worker of each kind for which a job can be claimed: delayed jobs fall due without a write."""
        keys = {_pair(key): key for key in self._wait_board.keys("jobs")}
        for pair in jobs.claimable(self._db, keys) if keys else ():
            self._wait_board.notify("jobs", keys[pair], 1, exact=True)

    def _look_for_changes(self) -> None:
        """After a write of another process, notify machines of unread events and lost jobs, and waiting actions."""
        token = self._db.change_token()
        if token == self._token and not self._unread_left:
            return
        live = self._machine_registry.live()
        unread = mailbox.pending_targets(self._db, [machine.name for machine in live])
        self._unread_left = bool(unread)
        for machine in live:
            if machine.name in unread:
                machine.tell(Unread())
        if token != self._token:
            self._router.tell_lost_jobs()
            for topic in ("done", "events", "machine"):
                if self._wait_board.keys(topic):
                    self._wait_board.notify(topic)
        self._token = token  # last, so that a failed look is repeated

    def _look_for_free_names(self) -> None:
        if self._standby.look():
            self._machine_registry.notify()  # the machine may have ended before it was off the list


def _pair(key: tuple[str | None, ...]) -> tuple[str | None, str | None]:
    job_type, machine_type = (*key, None, None)[:2]
    return job_type, machine_type
