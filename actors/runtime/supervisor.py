"""Starts machines, registers their ends, and replaces crashed actors and lost sockets."""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ...storage import machines
from ...storage.errors import MachineTaken, NotOurs, SocketTaken, StorageError
from ..concurrency.supervised_thread import RESTARTS, WINDOW_S, Intensity
from ..errors import CannotResume, NoThread
from ..machine import checkpoint
from ..machine.actor import MachineActor
from ..machine.messages import Begin
from ..processes.liveness import process_lives
from ..sockets import unix_socket
from ..sockets.listener import Listener

if TYPE_CHECKING:
    from pathlib import Path

    from ...storage.snapshots import Snapshot
    from ..definition.model import Definition, Outcome
    from ..jobs.job_holder import JobHolder
    from ..machine.dependencies import ProcessResources
    from .machine import Machine
    from .machine_registry import MachineRegistry
    from .router import Router

log = logging.getLogger(__name__)

CRASHED = "the machine's actor crashed"
DEAF = "its control socket is no longer read: events come by the mailbox, within a second"

#: number of sockets checked at a look: checking a thousand would take 3 ms of each second
CHECKED_SOCKETS = 100

#: seconds until an actor that got no thread or memory is started again
AGAIN_S = 1.0


class Supervisor:
    """Keeps one machine of a name: the registry's row is the lock, and the control socket is bound after it."""

    def __init__(
        self, resources: ProcessResources, machine_registry: MachineRegistry, router: Router, *, sockets: bool
    ) -> None:
        """With `sockets`, machines have control sockets."""
        self._resources = resources
        self._machine_registry = machine_registry
        self._router = router
        self._sockets = sockets
        self._lock = threading.Lock()
        self._names: set[str] = set()
        self._intensity: defaultdict[str, Intensity] = defaultdict(Intensity)
        self._next_socket = 0
        #: True once the runtime stops: crashed actors are no longer replaced
        self.closed = False

    @property
    def crashes(self) -> int:
        """The number of actors that have crashed."""
        return sum(intensity.crashes for intensity in list(self._intensity.values()))

    def acquire(self, machine: Machine) -> None:
        """Take the machine's name, here and in the registry. Raises MachineTaken."""
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
        """Register a running machine again that the registry has lost; return False if it has this one or another."""
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
        log.warning("%s: registered again, in state %s", machine.name, machine.state)
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
            is_alive=process_lives,
            definition_hash=machine.definition.hash,
            metadata=_metadata(machine.definition),
        )

    def launch(self, machine: Machine) -> None:
        """Start a machine whose name was acquired: bind its socket, start its actor, then read the socket."""
        try:
            resumed = checkpoint.last(self._resources.db, machine.definition, machine.name, machine.from_state)
            machine.listener = self._opened(machine) if self._sockets else None
        except (CannotResume, OSError, StorageError):
            self._release(machine.name, "ended")
            raise
        machine.live.status = "running"  # before the actor sets it
        self._machine_registry.add(machine)
        try:
            self._start_actor(machine, resumed)
            if machine.listener is not None:
                machine.listener.start()
        except RuntimeError as error:  # a thread cannot be started
            machine.stop(drain=False)
            self._end(machine, None)
            self._resources.counters.add("machine_not_started")
            raise NoThread(machine.name) from error

    def ended(self, machine: Machine, outcome: Outcome | None) -> None:
        """Clean up after a machine that has ended; called in its actor's thread."""
        for child in machine.children:
            child.stop()
        self._resources.children.stop(machine.name)
        self._end(machine, outcome)

    def crashed(self, machine: Machine) -> None:
        """Replace an actor that died of a bug, a few times, in the initial state; called in the dead actor's thread."""
        may_start = self._intensity[machine.name].crashed()
        self._resources.counters.add("actor_crashed")
        self._publish_error(machine.name, CRASHED)
        self._retry_job(machine.dependencies.job_holder)
        self._resources.recorder.flush()
        while may_start and not self.closed:
            try:
                self._start_actor(machine, None)
                return
            except (RuntimeError, MemoryError) as error:  # the system gives no thread, or no memory
                log.error("%s: cannot be restarted yet: %s", machine.name, error or type(error).__name__)
                time.sleep(AGAIN_S)
                may_start = self._intensity[machine.name].crashed()
        log.critical("%s: crashed more than %d times in %g s; given up", machine.name, RESTARTS, WINDOW_S)
        machine.live.last_error = CRASHED
        self._end(machine, "failure")

    def look(self) -> None:
        """Check in turn that control sockets are still bound, CHECKED_SOCKETS at each call."""
        live = self._machine_registry.live()
        first = self._next_socket if self._next_socket < len(live) else 0
        for machine in live[first : first + CHECKED_SOCKETS]:
            if machine.listener is not None:
                machine.listener.look()
        self._next_socket = first + CHECKED_SOCKETS

    def report_status(self, name: str, status: str) -> None:
        """Store a machine's status in the registry."""
        with _logged(name, f"its status {status} cannot be written"):
            machines.update(self._resources.db, name, self._resources.incarnation, status=status)

    def _opened(self, machine: Machine) -> Listener:
        """Return a listener at the usual path, or at a hidden one if another user has taken that."""
        listener = self._listener(machine, unix_socket.control_path(self._resources.control_prefix, machine.name))
        try:
            listener.open()
        except NotOurs as error:
            listener = self._listener(machine, unix_socket.hidden_path())
            listener.open()
            log.warning("%s: %s; its control socket is %s", machine.name, error, listener.path)
            incarnation = self._resources.incarnation
            machines.update(self._resources.db, machine.name, incarnation, control_socket=str(listener.path))
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
            on_event=machine.deliver,
            on_notification=self._router.on_notification,
            given_up=lambda: self._on_listener_given_up(machine),
        )

    def _start_actor(self, machine: Machine, resumed: Snapshot | None) -> None:
        """Start an actor in the snapshot's state, or in the initial one without a snapshot or if its job is lost."""
        if resumed is not None and not checkpoint.regain_job(
            self._resources.db, resumed, machine.dependencies.job_holder, self._resources.incarnation
        ):
            resumed = None
        ref = MachineActor.start(machine.definition, machine.given_context, machine.dependencies, resumed)
        ref.tell(Begin())
        machine.attach(ref, ref.actor_inbox.qsize)  # type: ignore[attr-defined]

    def _end(self, machine: Machine, outcome: Outcome | None) -> None:
        if machine.listener is not None:
            machine.listener.stop()
        self._resources.recorder.flush()  # the next machine of this name must not read events that this one has handled
        self._release(machine.name, "failed" if outcome == "failure" else "ended")
        machine.live.end(outcome)
        self._machine_registry.notify()

    def _give_up(self, machine: Machine, taken: MachineTaken) -> None:
        """Stop a machine that another process has taken over after a pause longer than the lease."""
        log.critical(
            "%s: stopped: pid %s on %s has taken it over, because this process gave no heartbeat for too long",
            machine.name, taken.pid, taken.host,
        )  # fmt: skip
        machine.live.last_error = f"taken over by pid {taken.pid} on {taken.host}"
        machine.stop(drain=False)

    def _release(self, name: str, status: str) -> None:
        with _logged(name, "its end cannot be registered"):
            machines.release(self._resources.db, name, self._resources.incarnation, status=status)
        self._names.discard(name)

    def _on_listener_given_up(self, machine: Machine) -> None:
        """Go on without a listener, which was given up: the look once a second finds events in the mailbox."""
        log.error("%s: %s", machine.name, DEAF)
        machine.live.last_error = DEAF
        self._publish_error(machine.name, DEAF)
        with _logged(machine.name, "the loss of its socket cannot be registered"):
            machines.update(self._resources.db, machine.name, self._resources.incarnation, control_socket=None)

    def _publish_error(self, name: str, message: str) -> None:
        self._resources.recorder.publish(name, "error", {"error_message": message, "job_id": None})

    def _retry_job(self, job_holder: JobHolder) -> None:
        """Queue the job of a crashed actor for another attempt."""
        with _logged(job_holder.machine, "its job cannot be queued again"):
            if job_holder.current is not None:
                job_holder.retry(job_holder.current.job_id, reason=CRASHED)


@contextmanager
def _logged(name: str, failure: str) -> Iterator[None]:
    """Log a StorageError instead of raising it."""
    try:
        yield
    except StorageError as error:
        log.error("%s: %s: %s", name, failure, error)


def _metadata(definition: Definition) -> dict[str, Any]:
    """Return what the monitor and other tools need to find and show the machine's definition."""
    source = definition.source
    return {
        "config_path": str(source.resolve()) if source is not None else None,
        "template": definition.template,
        "title": definition.title,
    }
