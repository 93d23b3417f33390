"""The actor of a machine: its thread, and its inbox, whose length is limited."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pykka

from .interpreter import Interpreter

if TYPE_CHECKING:
    from ...storage.snapshots import Snapshot
    from ..definition.model import Definition
    from .dependencies import MachineDependencies

#: number of messages in the inbox at which a listener that was stopped may go on
INBOX_LOW = 500

#: seconds between two checks for a stop while the audit queue is full
ROOM_S = 0.5


class MachineActor(pykka.ThreadingActor):
    """Gives each message to the interpreter, one at a time."""

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
            definition, context, dependencies, resumed, tell=self._tell_self, stop=self.stop
        )

    @staticmethod
    def _create_actor_inbox() -> Any:
        """Return a SimpleQueue, which has the three methods that pykka uses, at half the cost of its Queue."""
        return queue.SimpleQueue()

    def on_start(self) -> None:
        """Name the actor's thread, and note it for the watchdog."""
        thread = threading.current_thread()
        thread.name = f"sm-actor-{self._status.name}"
        self._status.thread, self._status.busy_since_s = thread.ident, None

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
        """Tell the runtime of a crash, so that it starts a new actor."""
        self._interpreter.abandon()
        self._dependencies.crashed()

    def _tell_self(self, message: Any) -> None:
        """Put a message into the own inbox, from any thread, unless the actor has ended."""
        with contextlib.suppress(pykka.ActorDeadError):
            self.actor_ref.tell(message)

    def _wait_for_room(self) -> None:
        """Block while the audit queue is full, so that unwritten records cannot exhaust memory."""
        while not (self._dependencies.job_holder.closed or self._room.wait(ROOM_S)):
            pass
