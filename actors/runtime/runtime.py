"""The runtime of a process: starts and stops the parts that its machines share."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...storage import jobs
from ...storage.clock import Clock, system_clock
from ...storage.engine.database import Database
from ...storage.errors import MachineTaken, StorageError
from ...storage.names import machine_name_fault
from ..actions.registry import ActionRegistry
from ..audit.publisher import Publisher
from ..audit.recorder import Recorder
from ..concurrency.timers import Timers
from ..concurrency.wait_board import WaitBoard
from ..definition import secrets
from ..definition.loader import from_dict, load
from ..definition.model import Definition
from ..errors import ConfigError, MachineError, Problem
from ..jobs.job_holder import JobHolder
from ..machine import leaked_action
from ..machine.action_run import ActionExecutor
from ..machine.dependencies import MachineDependencies, ProcessResources
from ..machine.status import MachineStatus
from ..machine.worker_pool import WorkerPool
from ..metrics.counters import Counters
from ..processes.children import Children
from ..processes.incarnation import new_incarnation
from ..sockets import unix_socket
from ..sockets.notifier import Notifier
from .machine import Machine
from .machine_registry import MachineRegistry
from .maintenance import Maintenance
from .router import Router
from .scheduler import Scheduler
from .standby import Standby
from .supervisor import Supervisor
from .watchdog import Watchdog

if TYPE_CHECKING:
    from ...storage.jobs import Job
    from ..definition.model import Outcome

log = logging.getLogger(__name__)

#: seconds that actions have to end once they are cancelled
CUT_OFF_S = 3.0

#: seconds that `stop` waits for a database server that does not answer
SILENCE_S = 10.0

#: seconds for the last writes when the runtime stops, and if the store was given up
LAST_WRITES_S, LOSS_S = 10.0, 1.0

FILE_LOST = (
    "the database {db} was deleted, or another file was put in its place; start it again to work with the file that is "
    "there now (what was written in the last seconds may be lost)"
)


class NotStarted(MachineError):
    """The error that the runtime is not running."""


class Runtime:
    """Runs machines, each with an actor thread and a listener thread of its own.

    `db` is a URL, a path or an open Database; the in-memory store `sqlite:///:memory:` serves tests and scripts.
    With `sockets=False` no control sockets are bound: events then come from this process or through the mailbox. With
    `standby`, a machine waits for a name that is taken instead of being refused. A plain Python action that runs
    longer than `watchdog_s` seconds, and a stuck actor, are reported with their stacks (0: never).
    """

    def __init__(
        self,
        db: Database | str | Path | None = None,
        *,
        control_prefix: str | None = None,
        event_socket: str | None = None,
        actions_dir: Path | str | None = None,
        grace_s: float = 10.0,
        standby: bool = False,
        sockets: bool = True,
        clock: Clock = system_clock,
        watchdog_s: float = 60.0,
    ) -> None:
        self.grace_s = grace_s
        self._watchdog_s = watchdog_s
        self._given_db, self._clock = db, clock
        self._control_prefix = unix_socket.control_prefix(control_prefix)
        self._event_socket = unix_socket.event_socket(event_socket)
        self._actions_dir = Path(actions_dir) if actions_dir is not None else None
        self._stands_by, self._sockets = standby, sockets
        self._registries: dict[Path | None, ActionRegistry] = {}
        #: problems that were logged
        self._logged: set[Problem] = set()
        self._machine_registry = MachineRegistry()
        self._lock = threading.RLock()
        self._stop_asked = self._hurried = False
        self._running = False
        #: why the runtime cannot go on: an essential thread was given up, or the database's file is gone
        self.broken: str | None = None
        #: called in that thread when this happens
        self.on_broken: Callable[[], None] = self.request_stop
        #: called once a second in the maintenance thread while actors and recorder make progress
        self.on_progress: Callable[[], None] = lambda: None

    # Life

    def start(self) -> Runtime:
        """Start what the machines share: the store first; notifier and maintenance, which use all the others, last."""
        self.db = self._opened()
        counters = Counters()
        wait_board = WaitBoard()
        recorder = Recorder(
            self.db, Publisher(self._event_socket), counters, lambda: self._give_up("recorder"), wait_board
        )
        timers = Timers(crashed=lambda: counters.add("timers_crashed"), given_up=lambda: self._give_up("timers"))
        self.resources = ProcessResources(
            self.db, new_incarnation(), self._control_prefix, recorder, timers, wait_board, WorkerPool(counters),
            Children(), counters,
        )  # fmt: skip
        self.router = Router(self.resources, self._machine_registry, event_socket=self._event_socket, start=self._add)
        self.scheduler = Scheduler(self.db, self.router, names=self._machine_registry.names)
        self.supervisor = Supervisor(self.resources, self._machine_registry, self.router, sockets=self._sockets)
        self._standby = Standby(self.supervisor.acquire, self._launch)
        watchdog = Watchdog(
            self._machine_registry, self.resources.running_actions, recorder.publish, action_s=self._watchdog_s
        )
        self.maintenance = Maintenance(
            self.resources, self._machine_registry, self.router, self.supervisor, self.scheduler, self._standby,
            watchdog, progress=lambda: self.on_progress(), given_up=lambda: self._give_up("maintenance"),
            file_lost=lambda: self._break(FILE_LOST.format(db=self.db)),
        )  # fmt: skip
        self.notifier = Notifier(self.db, counters, self.router.on_notification)
        recorder.start()
        self.resources.timers.start()
        self.notifier.start()
        self.maintenance.start()
        self._running = True
        return self

    def stop(self, grace_s: float | None = None) -> None:
        """Stop in order; idempotent, and allowed before start.

        Machines stop first, while everything that they need still runs: each after its current job, or at once when
        the grace (seconds) is over. Then stop the notifier, maintenance and timers, which only serve machines; then
        the recorder; the store last. A server that does not answer is given up after SILENCE_S.
        """
        with self._lock:
            if not self._running:
                return
            self._running = False
        self.maintenance.closed = self.supervisor.closed = True
        self._machine_registry.stop(self.grace_s if grace_s is None else grace_s, CUT_OFF_S)
        self._wait_for_actions()
        for run in list(self.resources.running_actions.values()):
            leaked_action.report(run)
        self.resources.children.stop()
        with self._limited_wait_for_server():
            self._release_jobs()
            self.notifier.stop()
            self.maintenance.stop()
        self.resources.timers.stop()
        self.resources.recorder.stop(LOSS_S if self.db.closed else LAST_WRITES_S)
        self.resources.worker_pool.shutdown(wait=False, cancel_futures=True)
        if self.db is not self._given_db:
            self.db.close()
        self.request_stop()

    @property
    def left_behind(self) -> list[str]:
        """The machines whose actions still run after the runtime has stopped, because their threads cannot be ended."""
        return sorted({run.services.machine for run in list(self.resources.running_actions.values())})

    def __enter__(self) -> Runtime:
        return self.start()

    def __exit__(self, *_exc_info: object) -> None:
        self.stop()

    def request_stop(self) -> None:
        """Make `wait` return; from any thread or signal handler."""
        self._stop_asked = True
        self._machine_registry.notify()

    def hurry(self) -> None:
        """Stop all machines at once: cancel their actions, and wait only for those that can be cancelled.

        From any thread, before or during `stop`.
        """
        self._hurried = True
        for machine in self.machines():
            machine.stop(drain=False)
        self.request_stop()

    def wait(self, timeout_s: float | None = None) -> dict[str, Outcome | None]:
        """Wait until all machines have ended or a stop is requested; return each name's outcome (None: not ended).

        It also returns when the runtime cannot go on; then `broken` is the reason.
        """
        self._machine_registry.wait_until(lambda: self._stop_asked or self._all_ended(), timeout_s)
        return {machine.name: machine.outcome for machine in self.machines()}

    # Machines

    def add(
        self,
        machine: Definition | Path | str | Mapping[str, Any],
        name: str | None = None,
        context: Mapping[str, Any] | None = None,
        *,
        actions_dir: Path | str | None = None,
        from_state: str | None = None,
    ) -> Machine:
        """Start a machine from a YAML file, a mapping of the same shape, or a Definition.

        `from_state` overrides the state in which the file, or its last run, would have it start.

        Raises ConfigError for a wrong file; MachineTaken if a machine of this name runs already (with standby, it
        starts when that one has ended); CannotResume if it was in a state that no longer exists; SocketPathTooLong or
        OSError if its control socket cannot be bound.
        """
        folder = Path(actions_dir) if actions_dir is not None else None
        return self._add(machine, name, context or {}, folder, None, from_state)

    def definition(
        self,
        machine: Definition | Path | str | Mapping[str, Any],
        name: str | None = None,
        actions_dir: Path | None = None,
    ) -> Definition:
        """Read a machine's definition and log its warnings. Raises ConfigError."""
        if isinstance(machine, Definition):
            return machine
        keys_of = self._registry(actions_dir or self._actions_dir).keys_of
        if isinstance(machine, Mapping):
            definition = from_dict(machine, name or "machine", known_keys=keys_of)
        else:
            definition = load(Path(machine), machine_name=name, known_keys=keys_of)
        for problem in definition.warnings:
            log.warning("%s", problem)
        return definition

    def machine(self, name: str) -> Machine:
        """Return the handle of a machine of this runtime. Raises KeyError."""
        found = self._machine_registry.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def machines(self) -> list[Machine]:
        """Return all machines that were added, in order of their start, also those that have ended."""
        return self._machine_registry.all()

    def subscribe(self, subscriber: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        """Call `subscriber` with every event that the machines publish, in order; return a function that ends this.

        An event is {machine_name, type, payload, id, timestamp}; transitions have the type `state_change`. The
        subscriber is called in the recorder's thread, after the commit, so it must be quick.
        """
        return self.resources.recorder.subscribe(subscriber)

    # Helpers

    def _give_up(self, part: str) -> None:
        """Stop in order, since a runtime cannot work without its recorder, timers or maintenance."""
        self._break(f"its {part} crashed again and again")

    def _break(self, reason: str) -> None:
        """Stop in order, because the runtime cannot go on; later calls do nothing."""
        if self.broken is None:
            self.broken = reason
            log.critical("the runtime stops: %s", reason)
            self.on_broken()

    def _add(
        self,
        machine: Definition | Path | str | Mapping[str, Any],
        name: str | None,
        context: Mapping[str, Any],
        actions_dir: Path | None,
        job: Job | None,
        from_state: str | None = None,
    ) -> Machine:
        if not self._running:
            raise NotStarted("the runtime is not running: call start() first, or use it in a `with` statement")
        definition = self.definition(machine, name, actions_dir)
        folder = actions_dir or self._actions_dir or definition.actions_folder
        name = definition.machine_name if name is None else name
        fault = machine_name_fault(name)
        if fault is not None:
            raise ConfigError([Problem(f"machine name {name!r} {fault}", str(definition.source or "<definition>"))])
        handle = self._made(definition, name, {**context, **secrets.revealed(definition, context)}, folder)
        handle.from_state = from_state
        if job is not None:
            handle.dependencies.job_holder.adopt(job)
        try:
            self.supervisor.acquire(handle)
        except MachineTaken:
            if not self._stands_by:
                raise
            self._standby.wait(handle)
            return handle
        self._launch(handle)
        return handle

    def _made(self, definition: Definition, name: str, context: Mapping[str, Any], actions_dir: Path | None) -> Machine:
        registry = self._registry(actions_dir)
        for problem in registry.missing(definition):
            if problem not in self._logged:  # many machines of one file have the same problem
                self._logged.add(problem)
                log.warning("%s", problem)
        machine = Machine(definition, MachineStatus(name, definition.initial_state), self.db, context)
        base_dir = definition.source.parent if definition.source is not None else Path.cwd()
        job_holder = JobHolder(
            name, self.db, self.resources.incarnation, timers=self.resources.timers,
            wait_board=self.resources.wait_board, tell=machine.tell, publish=self.resources.recorder.publish,
            notify=self.router.notify, lease_taken=self.maintenance.lease_taken,
        )  # fmt: skip
        machine.dependencies = MachineDependencies(
            resources=self.resources,
            status=machine.live,
            job_holder=job_holder,
            action_executor=ActionExecutor(
                definition,
                registry,
                self.resources.wait_board,
                self.resources.counters,
                self.resources.recorder.outage,
            ),
            services=lambda: self.router.services(name, job_holder, base_dir, actions_dir),
            report_status=lambda status: self.supervisor.report_status(name, status),
            ended=lambda outcome: self.supervisor.ended(machine, outcome),
            crashed=lambda: self.supervisor.crashed(machine),
        )
        machine.dependencies.gate.set()
        return machine

    def _opened(self) -> Database:
        if isinstance(self._given_db, Database):
            return self._given_db
        return Database.open(self._given_db, clock=self._clock)

    def _registry(self, actions_dir: Path | None) -> ActionRegistry:
        with self._lock:
            if actions_dir not in self._registries:
                self._registries[actions_dir] = ActionRegistry(*([] if actions_dir is None else [actions_dir]))
            return self._registries[actions_dir]

    def _wait_for_actions(self) -> None:
        """Wait for cancelled actions, which still end the process groups that they started."""
        running = list(self.resources.running_actions.items())
        wait([future for future, run in running if not self._hurried or run.services.cancel.heard], CUT_OFF_S)

    def _release_jobs(self) -> None:
        """Release the jobs that this process still holds, for example one that a cancelled action claimed."""
        if not self._machine_registry.all():
            return
        try:
            jobs.release_owner(self.db, self.resources.incarnation)
        except StorageError as error:
            log.error("jobs cannot be released; their leases will expire: %s", error)

    @contextmanager
    def _limited_wait_for_server(self) -> Iterator[None]:
        """Give up a database server of ours that does not answer in SILENCE_S; SQLite limits each wait by itself."""
        if self.db is self._given_db or not self.db.is_postgres:
            yield
            return
        timer = threading.Timer(SILENCE_S, self._give_up_server)
        timer.name, timer.daemon = "sm-patience", True
        with suppress(RuntimeError):  # without a thread the wait has no limit
            timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _give_up_server(self) -> None:
        log.error("%s does not answer: ending without it", self.db)
        self.db.abandon()

    def _all_ended(self) -> bool:
        return bool(self._machine_registry.all()) and not self._machine_registry.live() and not self._standby

    def _launch(self, machine: Machine) -> None:
        self.supervisor.launch(machine)
        self.scheduler.follow(machine.definition, machine.name)
