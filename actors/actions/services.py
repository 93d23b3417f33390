"""What an action may ask of the runtime that runs it."""

from __future__ import annotations

import fnmatch
import logging
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ...storage import machines, mailbox
from ...storage.errors import StorageError
from ..processes.liveness import is_here, is_running
from ..sockets import datagrams, unix_socket

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ...storage.machines import MachineRow
    from ...storage.mailbox import MailboxMessage
    from ..concurrency.cancel_token import CancelToken
    from ..jobs.job_holder import JobHolder

log = logging.getLogger(__name__)

#: seconds that telling all targets of an event may take; those not told by then find it in their mailboxes
PATIENCE_S = 2.0

#: the target of events that are meant for the monitor page alone
UI = "ui"


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of an event that was sent."""

    #: rows stored, one a target
    count: int
    #: targets that run and were told at once
    delivered: int
    event_ids: tuple[int, ...]


class Hub(Protocol):
    """The runtime as its machines' services see it."""

    db: Database
    control_prefix: str
    incarnation: str

    def names(self) -> list[str]:
        """The machines that run in this process."""

    def hand(self, letter: MailboxMessage) -> bool:
        """Give a stored event to a machine of this process; False when it does not run here."""

    def publish(self, machine: str, type: str, payload: Mapping[str, Any]) -> None:
        """Write a row of the audit log and tell the event socket."""

    def wake(self, topic: str, key: tuple[str | None, ...], count: int) -> None:
        """Re-run parked actions that watch for this, here and in other processes."""

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
        """Start another machine; its name, or the child process's id."""


@dataclass(slots=True)
class Services:
    """One per run: the runtime's doors, seen from one machine."""

    router: Hub
    #: name of the machine
    machine: str
    cancel: CancelToken
    jobs: JobHolder
    #: where relative paths of the configuration start
    base_dir: Path
    #: the machine's own --actions-dir, handed on to machines that it starts
    actions_dir: Path | None = None
    #: more environment for bash actions
    env: Mapping[str, str] = field(default_factory=dict)
    #: mailbox rows of this machine that an action took away: it must not handle them any more
    cleared: set[int] = field(default_factory=set)

    @property
    def db(self) -> Database:
        """The store."""
        return self.router.db

    def publish(self, type: str, payload: Mapping[str, Any]) -> None:
        """Write a row of the audit log in this machine's name and tell the event socket."""
        self.router.publish(self.machine, type, payload)

    def send(self, target: str, type: str, payload: Any = None, job_id: str | None = None) -> Sent:
        """Store an event for a machine, for `all`, or for every known machine that a glob matches; then deliver it.

        Raises StorageError when it cannot be stored: then nothing was sent.
        """
        targets = self._targets(target)
        log.debug("%s: sends event %s to %s", self.machine, type, ", ".join(targets) or "nobody")
        letters = mailbox.post_many(self.db, targets, type, payload, job_id=job_id, source=self.machine)
        if target == UI:
            self.publish(type, payload if isinstance(payload, Mapping) else {"payload": payload})
            return Sent(len(letters), 1, tuple(letter.id for letter in letters))
        deadline_s = time.monotonic() + PATIENCE_S
        delivered = sum(self._deliver(letter, deadline_s) for letter in letters)
        return Sent(len(letters), delivered, tuple(letter.id for letter in letters))

    def wake(self, topic: str, key: Hashable | None = None, count: int = 1) -> None:
        """Re-run parked actions that watch for `topic`: jobs, done, events or machine."""
        self.router.wake(topic, key if isinstance(key, tuple) else () if key is None else (str(key),), count)

    def machine_row(self, name: str) -> MachineRow | None:
        """What the registry knows of a machine."""
        return machines.get(self.db, name)

    def spawn(
        self,
        path: Path,
        name: str,
        context: Mapping[str, Any],
        *,
        isolation: str = "thread",
        detached: bool = False,
        actions_dir: Path | None = None,
        additional_args: tuple[str, ...] = (),
    ) -> int | str:
        """Start a machine in this runtime, or with isolation="process" in a child process (then its pid is returned).

        A relative path is looked up from the working directory, then beside this machine's own file.
        """
        return self.router.spawn(
            self.machine,
            self._found(path),
            name,
            context,
            isolation=isolation,
            detached=detached,
            actions_dir=actions_dir or self.actions_dir,
            additional_args=additional_args,
        )

    def _targets(self, target: str) -> list[str]:
        if target != "all" and not any(mark in target for mark in "*?["):
            return [target]
        pattern = "*" if target == "all" else target
        known = {row.machine_name for row in machines.list_(self.db)} | set(self.router.names())
        return sorted(name for name in known - {self.machine} if fnmatch.fnmatchcase(name, pattern))

    def _deliver(self, letter: MailboxMessage, deadline_s: float) -> bool:
        if self.router.hand(letter):
            return True
        try:
            row = machines.get(self.db, letter.target)
        except StorageError as error:
            log.warning("%s: event %d waits in the mailbox of %s: %s", self.machine, letter.id, letter.target, error)
            return False
        if row is None or not row.control_socket or not is_here(row) or not is_running(row, self.db.now()):
            return False
        return unix_socket.ring(
            row.control_socket, datagrams.letter_message(letter), max(0.0, deadline_s - time.monotonic())
        )

    def _found(self, path: Path) -> Path:
        path = path.expanduser()
        beside = self.base_dir / path
        return path if path.is_absolute() or path.exists() or not beside.exists() else beside
