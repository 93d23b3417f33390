"""Brings machines up, sees them end, and replaces what of them has crashed or is gone."""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...storage import machines
from ...storage.audit import Note
from ...storage.errors import MachineTaken, NotOurs, SocketTaken, StorageError
from ..concurrency.supervised_thread import RESTARTS, WINDOW_S, Intensity
from ..errors import CannotResume, NoThread
from ..machine import checkpoint
from ..machine.actor import MachineActor
from ..machine.messages import Begin
from ..processes.incarnation import may_live
from ..sockets import unix_socket
from ..sockets.listener import Listener
from .maintenance import MACHINE_LEASE_S

if TYPE_CHECKING:
    from pathlib import Path

    from ...storage.snapshots import Snapshot
    from ..definition.model import Definition, Outcome
    from ..jobs.job_holder import JobHolder
    from ..machine.dependencies import ProcessResources
    from ..sockets.messages import Notification
    from .machine import Machine
    from .machine_registry import MachineRegistry

log = logging.getLogger(__name__)

CRASHED = "the machine's actor crashed"
DEAF = "its control socket is not read any more: events come by the mailbox, within a second"

#: sockets looked for at a time: with a thousand machines, a look at all of them would be 3 ms of each second
LOOKED_FOR = 100

#: seconds until an actor for which there was no thread or no memory is tried again
AGAIN_S = 1.0


class Supervisor:
    """One machine of a name: the registry's row is the lock, the control socket comes after it."""

    def __init__(
        self,
        resources: ProcessResources,
        machine_registry: MachineRegistry,
        *,
        sockets: bool,
        rung: Callable[[Notification], None],
    ) -> None:
        self._resources = resources
        self._machine_registry = machine_registry
        self._sockets = sockets
        self._rung = rung
        self._lock = threading.Lock()
        self._names: set[str] = set()
        self._intensity: defaultdict[str, Intensity] = defaultdict(Intensity)
        self._looked_for = 0
        #: no more replacements: the runtime stops
        self.closed = False

    @property
    def crashes(self) -> int:
        """How many actors have crashed."""
        return sum(intensity.crashes for intensity in list(self._intensity.values()))

    def acquire(self, machine: Machine) -> None:
        """Take the name, here and in the registry; MachineTaken."""
        with self._lock:
            if machine.name in self._names:
                raise MachineTaken(machine.name, os.getpid(), socket.gethostname())
            self._names.add(machine.name)
        try:
            self._register(machine, machine.definition.initial_state)
        except BaseException:
            self._names.discard(machine.name)
            raise

    def enter_again(self, machine: Machine) -> bool:
        """Enter a running machine that the registry does not know; False when it does, or has another of this name."""
        row = machines.get(self._resources.db, machine.name)
        if row is not None and row.incarnation == self._resources.incarnation:
            return False
        try:
            self._register(machine, machine.state)
        except MachineTaken as error:
            self._give_up(machine, error)
            return False
        if machine.status == "failed":
            self.report_status(machine.name, "failed")
        log.warning("%s: entered into the registry again, in state %s", machine.name, machine.state)
        self._resources.counters.add("machine_unregistered")
        return True

    def _register(self, machine: Machine, state: str) -> None:
        usual = unix_socket.control_path(self._resources.control_prefix, machine.name) if self._sockets else None
        path = usual if machine.listener is None else machine.listener.path
        machines.acquire(
            self._resources.db,
            machine.name,
            incarnation=self._resources.incarnation,
            pid=os.getpid(),
            host=socket.gethostname(),
            config_type=machine.definition.config_type,
            state=state,
            control_socket=str(path) if path else None,
            lease_s=MACHINE_LEASE_S,
            is_alive=may_live,
            definition_hash=machine.definition.hash,
            metadata=_metadata(machine.definition),
        )

    def launch(self, machine: Machine) -> None:
        """Bind the socket, which can fail, before the actor starts; read it only when the actor runs."""
        try:
            resumed = checkpoint.last(self._resources.db, machine.definition, machine.name, machine.from_state)
        except (CannotResume, StorageError):
            self._release(machine.name, "ended")
            raise
        if self._sockets:
            try:
                machine.listener = self._opened(machine)
            except (OSError, StorageError):
                self._release(machine.name, "ended")
                raise
        machine.machine_status.status = "running"  # before the actor can say otherwise
        self._machine_registry.add(machine)
        try:
            self._start_actor(machine, resumed)
            if machine.listener is not None:
                machine.listener.start()
        except RuntimeError as error:  # a thread cannot be started
            machine.stop(drain=False)
            self._sign_off(machine, "ended")
            machine.machine_status.end(None)
            self._resources.counters.add("machine_not_started")
            raise NoThread(machine.name) from error

    def ended(self, machine: Machine, outcome: Outcome | None) -> None:
        """A machine is over; called in its actor's thread."""
        for child in machine.children:
            child.stop()
        self._resources.children.stop(machine.name)
        self._sign_off(machine, "failed" if outcome == "failure" else "ended")
        machine.machine_status.end(outcome)
        self._machine_registry.notify()

    def crashed(self, machine: Machine) -> None:
        """An actor died of a bug; called in its thread. A fresh one starts in the initial state, a few times."""
        may_start = self._intensity[machine.name].crashed()
        self._resources.counters.add("actor_crashed")
        self._publish_error(machine.name, CRASHED)
        self._give_back(machine.dependencies.job_holder)
        self._resources.recorder.flush()
        while may_start and not self.closed:
            try:
                self._start_actor(machine, None)
                return
            except (RuntimeError, MemoryError) as error:  # the system gives no thread, or no memory
                log.error("%s: cannot begin again yet: %s", machine.name, error or type(error).__name__)
                time.sleep(AGAIN_S)
                may_start = self._intensity[machine.name].crashed()
        log.critical("%s: crashed more than %d times in %g s; given up", machine.name, RESTARTS, WINDOW_S)
        self._sign_off(machine, "failed")
        machine.machine_status.last_error = CRASHED
        machine.machine_status.end("failure")
        self._machine_registry.notify()

    def look(self) -> None:
        """See that control sockets are where they were bound, LOOKED_FOR of them at a time and all in turn."""
        live = self._machine_registry.live()
        first = self._looked_for if self._looked_for < len(live) else 0
        for machine in live[first : first + LOOKED_FOR]:
            if machine.listener is not None:
                machine.listener.look()
        self._looked_for = first + LOOKED_FOR

    def report_status(self, name: str, status: str) -> None:
        """Store a machine's status in the registry."""
        try:
            machines.set_status(self._resources.db, name, self._resources.incarnation, status)
        except StorageError as error:
            log.error("%s: the registry cannot be told that it is %s: %s", name, status, error)

    def _opened(self, machine: Machine) -> Listener:
        """A bound socket in its usual place, or where nobody could guess it if a stranger has taken that one."""
        listener = self._listener(machine, unix_socket.control_path(self._resources.control_prefix, machine.name))
        try:
            listener.open()
        except NotOurs as error:
            listener = self._listener(machine, unix_socket.hidden_path())
            listener.open()
            log.warning("%s: %s; its control socket is %s", machine.name, error, listener.path)
            incarnation = self._resources.incarnation
            machines.set_control_socket(self._resources.db, machine.name, incarnation, str(listener.path))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise SocketTaken(machine.name, str(listener.path)) from error
            raise
        return listener

    def _listener(self, machine: Machine, path: Path) -> Listener:
        return Listener(
            path,
            name=machine.name,
            clock=self._resources.db.clock,
            counters=self._resources.counters,
            deliver=machine.deliver,
            ring=self._rung,
            given_up=lambda: self._deafened(machine),
        )

    def _start_actor(self, machine: Machine, resumed: Snapshot | None) -> None:
        """Start in the initial state, or where the machine was unless its job is lost."""
        if resumed is not None and not checkpoint.regain_job(
            self._resources.db, resumed, machine.dependencies.job_holder, self._resources.incarnation
        ):
            resumed = None
        ref = MachineActor.start(machine.definition, machine.given_context, machine.dependencies, resumed)
        ref.tell(Begin())
        machine.attach(ref, ref.actor_inbox.qsize)  # type: ignore[attr-defined]

    def _sign_off(self, machine: Machine, status: str) -> None:
        if machine.listener is not None:
            machine.listener.stop()
        self._resources.recorder.flush()  # the next of this name must not read events that this one has settled
        self._release(machine.name, status)

    def _give_up(self, machine: Machine, taken: MachineTaken) -> None:
        """Nobody heard of us for longer than the lease: there must not be two of one name, and the other is newer."""
        log.critical(
            "%s: pid %s on %s has taken it over, since this process was not heard of for too long; stopped here",
            machine.name, taken.pid, taken.host,
        )  # fmt: skip
        machine.machine_status.last_error = f"taken over by pid {taken.pid} on {taken.host}"
        machine.stop(drain=False)

    def _release(self, name: str, status: str) -> None:
        try:
            machines.release(self._resources.db, name, self._resources.incarnation, status=status)
        except StorageError as error:
            log.error("%s: cannot be signed off: %s", name, error)
        self._names.discard(name)

    def _deafened(self, machine: Machine) -> None:
        """Its listener was given up: the machine goes on with what the look once a second finds in its mailbox."""
        log.error("%s: %s", machine.name, DEAF)
        machine.machine_status.last_error = DEAF
        self._publish_error(machine.name, DEAF)
        try:
            machines.set_control_socket(self._resources.db, machine.name, self._resources.incarnation, None)
        except StorageError as error:
            log.error("%s: the registry cannot be told that its socket is gone: %s", machine.name, error)

    def _publish_error(self, name: str, message: str) -> None:
        now_s = self._resources.db.clock.now()
        payload = {"error_message": message, "job_id": None, "timestamp": now_s}
        self._resources.recorder.record(Note(name, "error", payload, now_s))

    def _give_back(self, job_holder: JobHolder) -> None:
        """A crash spends an attempt of the job that the machine had."""
        try:
            if job_holder.current is not None:
                job_holder.retry(job_holder.current.job_id, reason=CRASHED)
        except StorageError as error:
            log.error("%s: its job cannot be given back: %s", job_holder.machine, error)


def _metadata(definition: Definition) -> dict[str, Any]:
    """What the monitor and other tools need to find and show the machine's definition."""
    source = definition.source
    return {
        "config_path": str(source.resolve()) if source is not None else None,
        "template": definition.template,
        "title": definition.title,
    }
