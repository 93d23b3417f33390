"""A running machine as its user holds it."""

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

#: messages in the inbox at which the listener is held back
INBOX_HIGH = 1000

#: seconds that it is held back at a time: the machine may end meanwhile, and then nobody opens the gate
HOLD_S = 0.5


class WaitTimeout(MachineError):
    """The machine did not reach the state in time."""


class Machine:
    """Send it events, look at it, wait for it; every method may be called from any thread."""

    def __init__(
        self, definition: Definition, machine_status: MachineStatus, db: Database, context: Mapping[str, Any]
    ) -> None:
        self.definition = definition
        self.machine_status = machine_status
        #: the context that it was given at its start
        self.given_context = context
        #: the operator's word where it goes on
        self.from_state: str | None = None
        #: machines that end with this one
        self.children: list[Machine] = []
        #: None where no control socket is wanted
        self.listener: Listener | None = None
        self.dependencies: MachineDependencies
        self._db = db
        self._ref: pykka.ActorRef[MachineActor] | None = None
        self._inbox_size: Callable[[], int] = lambda: 0

    @property
    def name(self) -> str:
        """The name that events are sent to."""
        return self.machine_status.name

    @property
    def state(self) -> str:
        """The state it is in."""
        return self.machine_status.state

    @property
    def status(self) -> str:
        """starting, running, failed, ended or standby."""
        return self.machine_status.status

    @property
    def outcome(self) -> Outcome | None:
        """success or failure once it ended in a final state; None before, and when it was stopped."""
        return self.machine_status.outcome

    @property
    def last_error(self) -> str | None:
        """Why it is marked failed, or why its actor was given up."""
        return self.machine_status.last_error

    @property
    def stuck(self) -> str | None:
        """What of it has gone on for so long that the watchdog has reported it; None: nothing has."""
        return self.machine_status.stuck

    @property
    def context(self) -> dict[str, Any]:
        """A snapshot of the context: the dictionary is a copy, what it holds is shared, so change nothing in it."""
        return {key: value for key, value in self.machine_status.context.copy().items() if not key.startswith("_")}

    def send(self, type: str, payload: Any = None, *, job_id: str | None = None, source: str | None = None) -> int:
        """Store an event and deliver it; the id of its row.

        A machine that has ended gets it at its next start. Raises MalformedMessage for what is no event's name, and
        StorageError when it cannot be stored.
        """
        datagrams.event_name(type)
        letter = mailbox.post(self._db, self.name, type, payload, job_id=job_id, source=source)
        self.hand(letter)
        return letter.id

    def wait_for(self, state: str, timeout_s: float | None = None) -> None:
        """Wait until it is in `state`, or passes through it.

        WaitTimeout names the state it is in instead: after `timeout_s` seconds, or when it has ended there.
        """
        if not self.machine_status.wait_for(state, timeout_s):
            since = "its end" if self.machine_status.ended.is_set() else f"{timeout_s:g} s"
            msg = f"{self.name} is in state {self.state}, not {state}, after {since}"
            raise WaitTimeout(msg)

    def wait(self, timeout_s: float | None = None) -> Outcome | None:
        """Wait until it has ended; its outcome. WaitTimeout when it goes on."""
        if not self.machine_status.ended.wait(timeout_s):
            msg = f"{self.name} has not ended after {timeout_s:g} s; it is in state {self.state}"
            raise WaitTimeout(msg)
        return self.outcome

    async def send_async(self, type: str, payload: Any = None, *, job_id: str | None = None) -> int:
        """`send` for coroutines."""
        return await asyncio.to_thread(self.send, type, payload, job_id=job_id)

    async def wait_for_async(self, state: str, timeout_s: float | None = None) -> None:
        """`wait_for` for coroutines."""
        await asyncio.to_thread(self.wait_for, state, timeout_s)

    async def wait_async(self, timeout_s: float | None = None) -> Outcome | None:
        """`wait` for coroutines."""
        return await asyncio.to_thread(self.wait, timeout_s)

    def stop(self, *, drain: bool = True) -> None:
        """Ask it to stop, after its current job or (`drain=False`) at once; returns without waiting."""
        self.dependencies.job_holder.closed = True
        self.tell(Halt(drain))
        self.dependencies.gate.set()

    # For the runtime

    def attach(self, ref: pykka.ActorRef[MachineActor], inbox_size: Callable[[], int]) -> None:
        """Use this actor from now on: the first one, or one that replaces a crashed one."""
        self._ref, self._inbox_size = ref, inbox_size

    def tell(self, message: Any) -> bool:
        """Put a message into the actor's inbox; False when it is dead."""
        if self._ref is None:
            return False
        with contextlib.suppress(pykka.ActorDeadError):
            self._ref.tell(message)
            return True
        return False

    def hand(self, letter: MailboxMessage) -> bool:
        """Give it an event that has a row; False when it is over (then the row waits for its next start)."""
        return not self.machine_status.ended.is_set() and self.tell(event_of(letter))

    @property
    def inbox_size(self) -> int:
        """Messages that its actor has not taken yet."""
        return self._inbox_size()

    def deliver(self, event: EventMessage) -> None:
        """Give it a datagram's event; waits while its inbox is full, so that the kernel holds the senders back."""
        gate = self.dependencies.gate
        if self._inbox_size() > INBOX_HIGH:
            gate.clear()
            if self._inbox_size() > INBOX_HIGH:
                gate.wait(HOLD_S)
            gate.set()
        self.tell(event)
