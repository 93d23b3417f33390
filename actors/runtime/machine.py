"""The handle of a running machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pykka

from ...storage import mailbox
from ..errors import MachineError
from ..machine.mailbox_reader import event_of
from ..machine.messages import Halt
from ..sockets import datagrams
from ..sockets.messages import EventMessage

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ...storage.mailbox import MailboxMessage
    from ..definition.model import Definition, Outcome
    from ..machine.actor import MachineActor
    from ..machine.dependencies import MachineDependencies
    from ..machine.status import MachineStatus
    from ..sockets.listener import Listener

#: number of messages in the inbox at which the listener pauses
INBOX_HIGH = 1000

#: seconds of one pause; the machine may end meanwhile, and then nobody opens the gate
HOLD_S = 0.5


class WaitTimeout(MachineError):
    """The error that a machine did not reach a state, or a job its end, in time."""


class Machine:
    """A machine: send it events, read its state, wait for it; every method may be called from any thread."""

    def __init__(self, definition: Definition, live: MachineStatus, db: Database, context: Mapping[str, Any]) -> None:
        self.definition = definition
        #: what its actor reports: state, context, outcome
        self.live = live
        #: the context given at its start
        self.given_context = context
        #: the state that the operator has it start in
        self.from_state: str | None = None
        #: machines that end with this one
        self.children: list[Machine] = []
        #: None without a control socket
        self.listener: Listener | None = None
        self.dependencies: MachineDependencies
        self._db = db
        self._ref: pykka.ActorRef[MachineActor] | None = None
        self._inbox_size: Callable[[], int] = lambda: 0

    @property
    def name(self) -> str:
        """The name to which events are sent."""
        return self.live.name

    @property
    def state(self) -> str:
        """The current state."""
        return self.live.state

    @property
    def status(self) -> str:
        """starting, running, failed, ended or standby."""
        return self.live.status

    @property
    def outcome(self) -> Outcome | None:
        """success or failure after a final state; None before that, and if the machine was stopped."""
        return self.live.outcome

    @property
    def last_error(self) -> str | None:
        """The reason why it is marked failed, or why its actor was given up."""
        return self.live.last_error

    @property
    def stuck(self) -> str | None:
        """The action or message that the watchdog has reported as stuck; None without one."""
        return self.live.stuck

    @property
    def context(self) -> dict[str, Any]:
        """A copy of the context. Its values are shared with the machine, so do not change them."""
        return {key: value for key, value in self.live.context.copy().items() if not key.startswith("_")}

    def send(self, type: str, payload: Any = None, *, job_id: str | None = None, source: str | None = None) -> int:
        """Store an event and deliver it; return the id of its row.

        A machine that has ended gets it at its next start. Raises MalformedMessage for an invalid name, and
        StorageError if the event cannot be stored.
        """
        datagrams.event_name(type)
        event = mailbox.post(self._db, self.name, type, payload, job_id=job_id, source=source)
        self.deliver_stored(event)
        return event.id

    def wait_for(self, state: str, timeout_s: float | None = None) -> None:
        """Wait until it is in `state`, or passes through it.

        Raises WaitTimeout with its actual state after `timeout_s` seconds, or when it has ended elsewhere.
        """
        if not self.live.wait_for(state, timeout_s):
            since = "its end" if self.live.ended.is_set() else f"{timeout_s:g} s"
            msg = f"{self.name} is in state {self.state}, not {state}, after {since}"
            raise WaitTimeout(msg)

    def wait(self, timeout_s: float | None = None) -> Outcome | None:
        """Wait until it has ended and return its outcome. Raises WaitTimeout after `timeout_s` seconds."""
        if not self.live.ended.wait(timeout_s):
            msg = f"{self.name} has not ended after {timeout_s:g} s; it is in state {self.state}"
            raise WaitTimeout(msg)
        return self.outcome

    async def send_async(self, type: str, payload: Any = None, *, job_id: str | None = None) -> int:
        """Do the same as `send`, for coroutines."""
        return await asyncio.to_thread(self.send, type, payload, job_id=job_id)

    async def wait_for_async(self, state: str, timeout_s: float | None = None) -> None:
        """Do the same as `wait_for`, for coroutines."""
        await asyncio.to_thread(self.wait_for, state, timeout_s)

    async def wait_async(self, timeout_s: float | None = None) -> Outcome | None:
        """Do the same as `wait`, for coroutines."""
        return await asyncio.to_thread(self.wait, timeout_s)

    def stop(self, *, drain: bool = True) -> None:
        """Ask it to stop, after its current job or (`drain=False`) at once; returns without waiting."""
        self.dependencies.job_holder.closed = True
        self.tell(Halt(drain))
        self.dependencies.gate.set()

    # For the runtime

    def attach(self, ref: pykka.ActorRef[MachineActor], inbox_size: Callable[[], int]) -> None:
        """Set the actor: the first one, or one that replaces a crashed one."""
        self._ref, self._inbox_size = ref, inbox_size

    def tell(self, message: Any) -> bool:
        """Put a message into the actor's inbox; return False if the actor has ended."""
        if self._ref is None:
            return False
        with contextlib.suppress(pykka.ActorDeadError):
            self._ref.tell(message)
            return True
        return False

    def deliver_stored(self, event: MailboxMessage) -> bool:
        """Deliver an event from the mailbox; return False if the machine has ended, so that the row waits."""
        return not self.live.ended.is_set() and self.tell(event_of(event))

    @property
    def inbox_size(self) -> int:
        """The number of messages that its actor has not taken yet."""
        return self._inbox_size()

    def deliver(self, event: EventMessage) -> None:
        """Deliver a datagram's event; wait while the inbox is full, so that the kernel slows the senders down."""
        gate = self.dependencies.gate
        if self._inbox_size() > INBOX_HIGH:
            gate.clear()
            if self._inbox_size() > INBOX_HIGH:
                gate.wait(HOLD_S)
            gate.set()
        self.tell(event)
