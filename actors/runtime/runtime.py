"""A process's runtime: the parts that its machines share, started and stopped in one order."""

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
from ..actions.services import Services
from ..audit.publisher import Publisher
from ..audit.recorder import Recorder
from ..concurrency.cancel_token import CancelToken
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
from .household import Household
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

#: seconds that actions have to end once they are cut off
CUT_OFF_S = 3.0

#: seconds that an end waits for a server which does not answer
SILENCE_S = 10.0

#: seconds in which what waits in memory is to be stored at the end; and in which its loss is said, where that is vain
LAST_WRITES_S, LOSS_S = 10.0, 1.0

FILE_LOST = (
    "the database {db} was deleted, or another file was put in its place; start it again to work with the file that is "
    "there now (what was written in the last seconds may be lost)"
)


class NotStarted(MachineError):
    """The runtime is not running."""


class Runtime:
    """Runs machines, each with an actor thread and a listener thread of its own.

    `db` is a URL, a path or an open Database; the in-memory store `sqlite:///:memory:` serves tests and scripts.
    With `sockets=False` no control sockets are bound: events then come from this process or through the mailbox.
    `standby`: a machine whose name is taken waits for it instead of being refused. A plain Python action that runs for
    longer than `watchdog_s` seconds, and whatever holds up an actor, is reported with its stack (0: is not).
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
        #: what has been warned of
        self._told: set[Problem] = set()
        self._machine_registry = MachineRegistry()
        self._lock = threading.RLock()
        self._stop_asked = self._hurried = False
        self._running = False
        #: the reason why it cannot go on: a thread was given up, or the database's file is gone
        self.broken: str | None = None
        #: called then, in that thread
        self.on_broken: Callable[[], None] = self.request_stop
        #: called once a second in the keeper's thread, while actors and recorder make progress
        self.on_progress: Callable[[], None] = lambda: None

    # Life

    def start(self) -> Runtime:
        """Start what the machines share: the store first, keeper and notifier, who use all the others, last."""
        self.db = self._opened()
        counters = Counters()
        recorder = Recorder(self.db, Publisher(self._event_socket), counters, lambda: self._give_up("recorder"))
        timers = Timers(crashed=lambda: counters.add("timers_crashed"), given_up=lambda: self._give_up("timers"))
        self.resources = ProcessResources(
            self.db, new_incarnation(), self._control_prefix, recorder, timers, WaitBoard(), WorkerPool(counters),
            Children(), counters,
        )  # fmt: skip
        self.router = Router(
            self.resources,
            self._machine_registry,
            event_socket=self._event_socket,
            start=self._add,
            lease_taken=lambda lease_s: self.maintenance.lease_taken(lease_s),
        )
        self.scheduler = Scheduler(self.db, self.router, names=self._machine_registry.names)
        self.supervisor = Supervisor(
            self.resources, self._machine_registry, sockets=self._sockets, rung=self.router.rung
        )
        self._standby = Standby(self.supervisor.acquire, self._launch)
        watchdog = Watchdog(
            self._machine_registry, self.resources.running_actions, self.router.publish, action_s=self._watchdog_s
        )
        self._household = Household(
            self._machine_registry, self.router, recorder, self.supervisor, self.scheduler, self._standby, watchdog,
            progress=lambda: self.on_progress(),
        )  # fmt: skip
        self.maintenance = Maintenance(
            self.db,
            self.resources.incarnation,
            self.resources.wait_board,
            counters,
            self._household,
            outage=recorder.outage,
            given_up=lambda: self._give_up("keeper"),
            file_lost=lambda: self._break(FILE_LOST.format(db=self.db)),
        )
        self.notifier = Notifier(self.db, counters, self.router.rung)
        recorder.start()
        self.resources.timers.start()
        self.notifier.start()
        self.maintenance.start()
        self._running = True
        return self

    def stop(self, grace_s: float | None = None) -> None:
        """Stop in order; idempotent, and safe before start.

        Machines first, while everything that they need still runs: each ends after its current job, or is cut off
        when the grace (seconds) is over. Then notifier, keeper and timers, who only feed machines; then the recorder,
        when nobody is left who records; the store last. A server that does not answer is given up after SILENCE_S.
        """
        with self._lock:
            if not self._running:
                return
            self._running = False
        self._household.closed = self.supervisor.closed = True
        self._machine_registry.stop(self.grace_s if grace_s is None else grace_s, CUT_OFF_S)
        self._wait_for_actions()
        for run in list(self.resources.running_actions.values()):
            leaked_action.report(run)
        self.resources.children.stop()
        with self._patience_with_the_server():
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
        """Machines whose actions have not ended, though the runtime has stopped: their threads cannot be ended."""
        return sorted({run.services.machine for run in list(self.resources.running_actions.values())})

    def __enter__(self) -> Runtime:
        return self.start()

    def __exit__(self, *_exc_info: object) -> None:
        self.stop()

    def request_stop(self) -> None:
        """Make `wait` return; from any thread, and from a signal handler."""
        self._stop_asked = True
        self._machine_registry.notify()

    def hurry(self) -> None:
        """Stop all machines at once: their actions are cut off, and waited for only where they hear of it.

        From any thread, before `stop` or meanwhile.
        """
        self._hurried = True
        for machine in self.machines():
            machine.stop(drain=False)
        self.request_stop()

    def wait(self, timeout_s: float | None = None) -> dict[str, Outcome | None]:
        """Wait until all machines have ended or a stop is requested; name -> outcome (None: not ended).

        It also returns when the runtime cannot go on: `broken` says why.
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

        `from_state` is where it starts whatever the file and its last run say.

        ConfigError: the file is wrong. MachineTaken: a machine of this name runs already (with standby, it starts when
        that one is gone). CannotResume: it was in a state that it no longer has. SocketPathTooLong, OSError: its
        control socket cannot be bound.
        """
        folder = Path(actions_dir) if actions_dir is not None else None
        return self._add(machine, name, context or {}, folder, None, from_state)

    def definition(
        self,
        machine: Definition | Path | str | Mapping[str, Any],
        name: str | None = None,
        actions_dir: Path | None = None,
    ) -> Definition:
        """Read a machine's definition; its warnings are logged. ConfigError."""
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
        """The handle of a machine of this runtime; KeyError."""
        found = self._machine_registry.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def machines(self) -> list[Machine]:
        """All machines that were added, those that ended too, in order of their start."""
        return self._machine_registry.all()

    def subscribe(self, subscriber: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        """Call `subscriber` with every event that the machines publish, in order; returns what ends it.

        An event is {machine_name, type, payload, id, timestamp}; transitions are those of type `state_change`. It is
        called in the recorder's thread, after the commit, so it must be quick.
        """
        return self.resources.recorder.subscribe(subscriber)

    # Helpers

    def _give_up(self, part: str) -> None:
        """Stop in order: a runtime cannot keep its promises without its recorder, its timers or its maintenance."""
        self._break(f"its {part} crashed again and again")

    def _break(self, reason: str) -> None:
        """Stop in order because the runtime cannot go on. Later calls do nothing."""
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
            if problem not in self._told:  # a hundred instances of one file have one problem
                self._told.add(problem)
                log.warning("%s", problem)
        machine = Machine(definition, MachineStatus(name, definition.initial_state), self.db, context)
        base_dir = definition.source.parent if definition.source is not None else Path.cwd()
        job_holder = JobHolder(name, self.router)
        machine.dependencies = MachineDependencies(
            resources=self.resources,
            status=machine.machine_status,
            job_holder=job_holder,
            action_executor=ActionExecutor(
                definition,
                registry,
                self.resources.wait_board,
                self.resources.counters,
                self.resources.recorder.outage,
            ),
            services=lambda: Services(self.router, name, CancelToken(), job_holder, base_dir, actions_dir),
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
        """Cut off, they still end the process groups that they started."""
        running = list(self.resources.running_actions.items())
        wait([future for future, run in running if not self._hurried or run.services.cancel.heard], CUT_OFF_S)

    def _release_jobs(self) -> None:
        """What is still held by us, such as a job claimed by an action that was cut off, is no longer renewed."""
        if not self._machine_registry.all():
            return
        try:
            jobs.release_owner(self.db, self.resources.incarnation)
        except StorageError as error:
            log.error("jobs cannot be given back, their leases will run out: %s", error)

    @contextmanager
    def _patience_with_the_server(self) -> Iterator[None]:
        """SQLite ends each wait by itself; a store that is not ours to close is waited for."""
        if self.db is self._given_db or not self.db.is_postgres:
            yield
            return
        timer = threading.Timer(SILENCE_S, self._give_the_server_up)
        timer.name, timer.daemon = "sm-patience", True
        with suppress(RuntimeError):  # without a thread an end is as long as the server's silence
            timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _give_the_server_up(self) -> None:
        log.error("%s does not answer: ending without it", self.db)
        self.db.abandon()

    def _all_ended(self) -> bool:
        return bool(self._machine_registry.all()) and not self._machine_registry.live() and not self._standby

    def _launch(self, machine: Machine) -> None:
        self.supervisor.launch(machine)
        self.scheduler.follow(machine.definition, machine.name)
