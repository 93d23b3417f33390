"""The actor of a machine: its thread and its inbox, with an end to how much may wait there."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pykka

from .current_run import teller
from .interpreter import Interpreter

if TYPE_CHECKING:
    from ...storage.snapshots import Snapshot
    from ..definition.model import Definition
    from .dependencies import MachineDependencies

#: messages in the inbox at which the listener, held back, may go on
INBOX_LOW = 500

#: seconds between two looks whether it is to stop, while it stands still
ROOM_S = 0.5


class MachineActor(pykka.ThreadingActor):
    """Hands each message to the machine's behaviour, one at a time."""

    use_daemon_thread = True

    def __init__(
        self,
        definition: Definition,
        context: Mapping[str, Any],
        dependencies: MachineDependencies,
        resumed: Snapshot | None = None,
    ) -> None:
        super().__init__()
        self._dependencies, self._status = dependencies, dependencies.status
        self._room = dependencies.resources.recorder.room
        self._interpreter = Interpreter(
            definition, context, dependencies, resumed, tell=teller(self.actor_ref), stop=self.stop
        )

    @staticmethod
    def _create_actor_inbox() -> Any:
        """A SimpleQueue: half the cost of the Queue that pykka makes, with the three methods that it uses."""
        return queue.SimpleQueue()

    def on_start(self) -> None:
        """In the actor's thread: who looks at threads finds it."""
        thread = threading.current_thread()
        thread.name, self._status.thread, self._status.busy_since_s = (
            f"sm-actor-{self._status.name}",
            thread.ident,
            None,
        )

    def on_receive(self, message: Any) -> None:
        """Handle one message, in the actor's thread."""
        if not self._room.is_set() and not self._interpreter.ended:
            self._wait_for_room()
        self._status.busy_since_s = time.monotonic()
        self._interpreter.receive(message)
        self._status.busy_since_s = None
        if not self._dependencies.gate.is_set() and self.actor_inbox.qsize() <= INBOX_LOW:  # type: ignore[attr-defined]
            self._dependencies.gate.set()

    def on_failure(self, *_exc_info: Any) -> None:
        """A bug of ours, or no memory: the runtime starts a fresh actor."""
        self._interpreter.abandon()
        self._dependencies.crashed()

    def _wait_for_room(self) -> None:
        """What happened waits in memory while the store takes nothing: no more of it than there is room for."""
        while not (self._dependencies.job_holder.closed or self._room.wait(ROOM_S)):
            pass
