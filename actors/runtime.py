"""A process's runtime: the parts that its machines share, started and stopped in one order."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..storage import machines
from ..storage.audit import Note
from ..storage.clock import Clock, system_clock
from ..storage.database import Database
from ..storage.errors import MachineTaken, StorageError
from . import wire
from .actions import registry
from .cancel import CancelToken
from .children import Children
from .definition import Definition
from .errors import MachineError
from .handle import Machine
from .incarnation import may_live, new_incarnation
from .jobdesk import JobDesk
from .keeper import MACHINE_LEASE_S, Keeper
from .listener import Listener
from .loader import from_dict, load
from .machine import MachineActor
from .messages import Begin, Bell, Unread
from .parts import Parts
from .publisher import Publisher
from .recorder import Recorder
from .run import Performer
from .services import Services
from .timers import Timers
from .view import View
from .watches import WatchBoard

if TYPE_CHECKING:
    from ..storage.jobs import Job
    from ..storage.mailbox import Letter
    from .definition import Outcome

log = logging.getLogger(__name__)

#: worker threads at most; they are made one by one as actions block, and reused
WORKERS = 4096

#: a crashed actor is replaced so many times within so many seconds
CRASHES, CRASH_WINDOW_S = 3, 60.0
CRASHED = "the machine's actor crashed"


class NotStarted(MachineError):
    """The runtime is not running: call start() first, or use it in a `with` statement."""


class Runtime:
    """Runs machines, each with an actor thread and a listener thread of its own.

    `db` is a URL, a path or an open Database; the in-memory store `sqlite:///:memory:` serves tests and scripts.
    With `sockets=False` no control sockets are bound: events then come from this process or through the mailbox.
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
        clock: Clock | None = None,
    ) -> None:
        self.control_prefix = wire.control_prefix(control_prefix)
        self.event_socket = wire.event_socket(event_socket)
        self.grace_s = grace_s
        self.incarnation = new_incarnation()
        self.db: Database
        self._given_db, self._clock = db, clock
        self._actions_dir = Path(actions_dir) if actions_dir is not None else None
        self._standby, self._sockets = standby, sockets
        self._registries: dict[Path | None, registry.ActionRegistry] = {}
        self._machines: dict[str, Machine] = {}
        self._waiting: list[Callable[[], bool]] = []
        self._lock = threading.RLock()
        self._idle = threading.Condition()
        self._stop_asked = False
        self._crashes: dict[str, list[float]] = {}
        self._running = False

    # Life

    def start(self) -> Runtime:
        """Start what the machines share: the store first, the keeper, who uses all the others, last."""
        self.db = self._opened()
        self.board = WatchBoard()
        self.recorder = Recorder(self.db, Publisher(self.event_socket))
        self.timers = Timers()
        self.children = Children()
        self.executor = ThreadPoolExecutor(WORKERS, thread_name_prefix="sm-action")
        self.keeper = Keeper(
            self.db,
            self.incarnation,
            self.board,
            names=self.names,
            unread=self._tell_unread,
            look=self._look_after_standbys,
        )
        self.recorder.start()
        self.timers.start()
        self.keeper.start()
        self._running = True
        return self

    def stop(self, grace_s: float | None = None) -> None:
        """Stop in order; idempotent, and safe before start.

        Machines first, while everything that they need still runs: each ends after its current job, or is cut off
        when the grace (seconds) is over. Then the keeper and the timers, who only feed machines; then the recorder,
        when nobody is left who records; the store last.
        """
        with self._lock:
            if not self._running:
                return
            self._running = False
        self._stop_machines(self.grace_s if grace_s is None else grace_s)
        self.children.stop()
        self.keeper.stop()
        self.timers.stop()
        self.recorder.stop()
        self.executor.shutdown(wait=False, cancel_futures=True)
        if self.db is not self._given_db:
            self.db.close()
        self.request_stop()

    def __enter__(self) -> Runtime:
        return self.start()

    def __exit__(self, *_exc_info: object) -> None:
        self.stop()

    def request_stop(self) -> None:
        """Make `wait` return; for signal handlers."""
        self._stop_asked = True
        threading.Thread(target=self._notify, name="sm-stop", daemon=True).start()

    def wait(self, timeout_s: float | None = None) -> dict[str, Outcome | None]:
        """Wait until all machines have ended or a stop is requested; name -> outcome (None: not ended)."""
        with self._idle:
            self._idle.wait_for(lambda: self._stop_asked or self._all_ended(), timeout_s)
        return {machine.name: machine.outcome for machine in self.machines()}

    # Machines

    def add(
        self,
        machine: Definition | Path | str | Mapping[str, Any],
        name: str | None = None,
        context: Mapping[str, Any] | None = None,
        *,
        actions_dir: Path | str | None = None,
    ) -> Machine:
        """Start a machine from a YAML file, a mapping of the same shape, or a Definition.

        ConfigError: the file is wrong. MachineTaken: a machine of this name runs already (with standby, it starts when
        that one is gone). SocketPathTooLong, OSError: its control socket cannot be bound.
        """
        return self._add(machine, name, context or {}, Path(actions_dir) if actions_dir is not None else None, None)

    def _add(
        self,
        machine: Definition | Path | str | Mapping[str, Any],
        name: str | None,
        context: Mapping[str, Any],
        actions_dir: Path | None,
        job: Job | None,
    ) -> Machine:
        if not self._running:
            raise NotStarted
        folder = actions_dir or self._actions_dir
        definition = self.definition(machine, name, folder)
        handle = self._made(definition, name or definition.machine_name, context, folder)
        try:
            self._acquire(handle)
        except MachineTaken:
            if not self._standby:
                raise
            self._stand_by(handle)
            return handle
        if job is not None:
            handle.parts.desk.adopt(job)
        self._launch(handle)
        return handle

    def definition(
        self, machine: Definition | Path | str | Mapping[str, Any], name: str | None, actions_dir: Path | None
    ) -> Definition:
        """Read a machine's definition; its warnings are logged."""
        if isinstance(machine, Definition):
            return machine
        keys_of = self._registry(actions_dir).keys_of
        if isinstance(machine, Mapping):
            definition = from_dict(machine, name or "machine", known_keys=keys_of)
        else:
            definition = load(Path(machine), machine_name=name, known_keys=keys_of)
        for problem in definition.warnings:
            log.warning("%s", problem)
        return definition

    def machine(self, name: str) -> Machine:
        """The handle of a machine of this runtime; KeyError."""
        return self._machines[name]

    def machines(self) -> list[Machine]:
        """All machines that were added, those that ended too, in order of their start."""
        with self._lock:
            return list(self._machines.values())

    def subscribe(self, subscriber: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        """Call `subscriber` with every event that the machines publish, in order; returns what ends it.

        An event is {machine_name, type, payload, id, timestamp}; transitions are those of type `state_change`. It is
        called in the recorder's thread, after the commit, so it must be quick.
        """
        return self.recorder.subscribe(subscriber)

    # Services of the machines (the Hub and JobBells protocols)

    def names(self) -> list[str]:
        """The machines that live in this process."""
        return [machine.name for machine in self._live()]

    def hand(self, letter: Letter) -> bool:
        """Give a stored event to a machine of this process; False when it does not run here."""
        machine = self._machines.get(letter.target)
        return machine is not None and machine.hand(letter)

    def publish(self, machine: str, type: str, payload: Mapping[str, Any]) -> None:
        """Write a row of the audit log and tell the event socket."""
        now_s = self.db.clock.now()
        self.recorder.record(Note(machine, type, {**payload, "timestamp": now_s}, now_s))

    def wake(self, topic: str, key: tuple[str | None, ...], count: int) -> None:
        """Re-run parked actions that watch for this, here, and for new jobs in other processes too.

        What else other processes watch for they find by their look once a second.
        """
        woken = self.board.ring(topic, key, count if topic == "jobs" else None)
        if topic == "jobs" and woken < count:
            wire.bell(self.db, topic, count=count - woken, key=key, skip_incarnation=self.incarnation)

    def lease_taken(self, lease_s: float) -> None:
        """A lease of this length is held and must be renewed in time."""
        self.keeper.lease_taken(lease_s)

    def spawn(
        self,
        parent: str,
        path: Path,
        name: str,
        context: Mapping[str, Any],
        *,
        isolation: str,
        detached: bool,
        actions_dir: Path | None,
        additional_args: tuple[str, ...],
    ) -> int | str:
        """Start another machine for a machine; its name, or the child process's id."""
        if isolation == "process":
            options = [*self._options(actions_dir), *additional_args]
            return self.children.start(parent, path, name, context, options=options, detached=detached)
        desk = self._machines[parent].parts.desk
        job = desk.hand_over(_job_id(context))
        try:
            child = self._add(path, name, context, actions_dir, job)
        except BaseException:
            if job is not None:
                desk.adopt(job)
            raise
        if not detached:
            self._machines[parent].children.append(child)
        return name

    # Making a machine

    def _opened(self) -> Database:
        if isinstance(self._given_db, Database):
            return self._given_db
        return Database.open(self._given_db, clock=self._clock or system_clock)

    def _registry(self, actions_dir: Path | None) -> registry.ActionRegistry:
        with self._lock:
            if actions_dir not in self._registries:
                folders = () if actions_dir is None else (actions_dir,)
                self._registries[actions_dir] = registry.ActionRegistry(*folders)
            return self._registries[actions_dir]

    def _made(
        self, definition: Definition, name: str, context: Mapping[str, Any], actions_dir: Path | None
    ) -> Machine:
        view = View(name, definition.initial_state)
        machine = Machine(definition, view, self.db, context)
        base_dir = definition.source.parent if definition.source is not None else Path.cwd()
        desk = JobDesk(name, self)
        machine.parts = Parts(
            view=view,
            desk=desk,
            performer=Performer(definition, self._registry(actions_dir), self.board),
            services=lambda: Services(self, name, CancelToken(), desk, base_dir, actions_dir),
            fares=lambda status: self._fares(name, status),
            ended=lambda outcome: self._ended(machine, outcome),
            crashed=lambda: self._crashed(machine),
            db=self.db,
            clock=self.db.clock,
            incarnation=self.incarnation,
            recorder=self.recorder,
            timers=self.timers,
            board=self.board,
            executor=self.executor,
        )
        machine.parts.gate.set()
        return machine

    def _acquire(self, machine: Machine) -> None:
        """Take the name, here and in the registry; MachineTaken."""
        if machine.name in self.names():
            raise MachineTaken(machine.name, os.getpid(), socket.gethostname())
        path = wire.control_path(self.control_prefix, machine.name) if self._sockets else None
        machines.acquire(
            self.db,
            machine.name,
            incarnation=self.incarnation,
            pid=os.getpid(),
            host=socket.gethostname(),
            config_type=machine.definition.config_type,
            state=machine.definition.initial_state,
            control_socket=str(path) if path else None,
            lease_s=MACHINE_LEASE_S,
            is_alive=may_live,
        )

    def _launch(self, machine: Machine) -> None:
        """Bind the socket, which can fail, before the actor starts; read it only when the actor runs."""
        if self._sockets:
            machine.listener = Listener(
                wire.control_path(self.control_prefix, machine.name),
                name=machine.name,
                clock=self.db.clock,
                deliver=machine.deliver,
                ring=self._rung,
            )
            try:
                machine.listener.open()
            except OSError:
                machines.release(self.db, machine.name, self.incarnation)
                raise
        with self._lock:
            self._machines.pop(machine.name, None)
            self._machines[machine.name] = machine
        self._start_actor(machine)
        if machine.listener is not None:
            machine.listener.start()

    def _start_actor(self, machine: Machine) -> None:
        ref = MachineActor.start(machine.definition, machine.given_context, machine.parts)
        machine.attach(ref, ref.actor_inbox.qsize)  # type: ignore[attr-defined]
        machine.tell(Begin())

    def _fares(self, name: str, status: str) -> None:
        try:
            machines.set_status(self.db, name, self.incarnation, status)
        except StorageError as error:
            log.error("%s: the registry cannot be told that it is %s: %s", name, status, error)

    # Ends

    def _ended(self, machine: Machine, outcome: Outcome | None) -> None:
        """A machine is over; called in its actor's thread."""
        for child in machine.children:
            child.stop()
        self.children.stop(machine.name)
        self._release(machine, "ended" if outcome != "failure" else "failed")
        machine.view.end(outcome)
        self._notify()

    def _release(self, machine: Machine, status: str) -> None:
        if machine.listener is not None:
            machine.listener.stop()
        try:
            machines.release(self.db, machine.name, self.incarnation, status=status)
        except StorageError as error:
            log.error("%s: cannot be signed off: %s", machine.name, error)

    def _crashed(self, machine: Machine) -> None:
        """An actor died of a bug; called in its thread. A fresh one starts in the initial state, a few times."""
        now_s = time.monotonic()
        recent = [at for at in self._crashes.get(machine.name, ()) if now_s - at < CRASH_WINDOW_S]
        self._crashes[machine.name] = [*recent, now_s]
        self.publish(machine.name, "error", {"error_message": CRASHED, "job_id": None})
        self._give_back(machine.parts.desk)
        if len(recent) < CRASHES and self._running:
            self._start_actor(machine)
            return
        log.critical("%s: crashed %d times in %g s; given up", machine.name, len(recent) + 1, CRASH_WINDOW_S)
        self._release(machine, "failed")
        machine.view.last_error = CRASHED
        machine.view.end("failure")
        self._notify()

    def _give_back(self, desk: JobDesk) -> None:
        """A crash spends an attempt of the job that the machine had."""
        try:
            if desk.current is not None:
                desk.retry(desk.current.job_id, reason=CRASHED)
        except StorageError as error:
            log.error("%s: its job cannot be given back: %s", desk.machine, error)

    def _stop_machines(self, grace_s: float) -> None:
        live = self._live()
        for machine in live:
            machine.stop()
        deadline_s = time.monotonic() + grace_s
        if not _ended_by(live, deadline_s):
            for machine in live:
                machine.stop(drain=False)
            _ended_by(live, time.monotonic() + 3.0)

    def _live(self) -> list[Machine]:
        return [machine for machine in self.machines() if not machine.view.ended.is_set()]

    def _all_ended(self) -> bool:
        return bool(self._machines) and not self._live() and not self._waiting

    def _notify(self) -> None:
        with self._idle:
            self._idle.notify_all()

    # Bells, standbys

    def _rung(self, bell: Bell) -> None:
        self.board.ring(bell.topic, bell.key, bell.news if bell.topic == "jobs" else None)

    def _tell_unread(self, unread: dict[str, int]) -> None:
        for name in unread:
            machine = self._machines.get(name)
            if machine is not None and not machine.view.ended.is_set():
                machine.tell(Unread())

    def _stand_by(self, machine: Machine) -> None:
        log.info("%s: runs elsewhere; standing by", machine.name)
        machine.view.status = "standby"

        def try_again() -> bool:
            try:
                self._acquire(machine)
            except MachineTaken:
                return False
            log.info("%s: taking over", machine.name)
            self._launch(machine)
            return True

        self._waiting.append(try_again)

    def _look_after_standbys(self) -> None:
        if self._running:
            self._waiting[:] = [attempt for attempt in self._waiting if not attempt()]

    def _options(self, actions_dir: Path | None) -> Iterator[str]:
        """The options by which a child process shares our store and sockets."""
        yield from ("--db", self.db.url, "--control-socket-prefix", self.control_prefix)
        yield from ("--event-socket-path", self.event_socket)
        if actions_dir is not None:
            yield from ("--actions-dir", str(actions_dir))


def _job_id(context: Mapping[str, Any]) -> str | None:
    job = context.get("current_job")
    found = context.get("job_id") or context.get("id") or (job.get("id") if isinstance(job, Mapping) else None)
    return str(found) if found is not None else None


def _ended_by(live: list[Machine], deadline_s: float) -> bool:
    """Wait until all have ended; False at the deadline (monotonic)."""
    return all(machine.view.ended.wait(max(0.0, deadline_s - time.monotonic())) for machine in live)
