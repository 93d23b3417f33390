"""The services of the runtime that an action can use."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...storage import machines, mailbox
from ..sockets.delivery import PATIENCE_S, UI, targets_of

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ...storage.machines import MachineRow
    from ...storage.mailbox import MailboxMessage
    from ..concurrency.cancel_token import CancelToken
    from ..jobs.job_holder import JobHolder

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sent:
    """The result of sending an event."""

    #: number of stored rows, one for each target
    count: int
    #: number of targets that took the event at once
    delivered: int
    event_ids: tuple[int, ...]


@dataclass(slots=True)
class Services:
    """The services of one run of a machine's actions."""

    db: Database
    #: name of the machine
    machine: str
    cancel: CancelToken
    jobs: JobHolder
    #: folder at which relative paths of the configuration start
    base_dir: Path
    #: writes an audit row: machine, type, payload
    publish_row: Callable[[str, str, Mapping[str, Any]], None]
    #: notifies waiting actions here and in other processes: topic, key, number of new things
    notify_waiting: Callable[[str, tuple[str | None, ...], int], None]
    #: delivers a stored event to a machine in this or another process, within a number of seconds
    deliver: Callable[[MailboxMessage, float], bool]
    #: starts a machine: name of the parent, file, name, context, and the options of `spawn`
    start_machine: Callable[..., int | str]
    #: the machine's own --actions-dir, which machines that it starts inherit
    actions_dir: Path | None = None
    #: additional environment variables for bash actions
    env: Mapping[str, str] = field(default_factory=dict)
    #: ids of own mailbox rows that an action removed and the machine must not handle
    cleared: set[int] = field(default_factory=set)

    def publish(self, type: str, payload: Mapping[str, Any]) -> None:
        """Write a row of the audit log in this machine's name, which the event socket then receives."""
        self.publish_row(self.machine, type, payload)

    def send(self, target: str, type: str, payload: Any = None, job_id: str | None = None) -> Sent:
        """Store an event for a machine, for `all`, or for every known machine that a glob matches, and deliver it.

        Raises StorageError if it cannot be stored; then nothing was sent.
        """
        targets = targets_of(self.db, target, sender=self.machine)
        log.debug("%s: sends event %s to %s", self.machine, type, ", ".join(targets) or "nobody")
        stored = mailbox.post_many(self.db, targets, type, payload, job_id=job_id, source=self.machine)
        event_ids = tuple(event.id for event in stored)
        if target == UI:
            self.publish(type, payload if isinstance(payload, Mapping) else {"payload": payload})
            return Sent(len(stored), 1, event_ids)
        deadline_s = time.monotonic() + PATIENCE_S
        delivered = sum(self.deliver(event, max(0.0, deadline_s - time.monotonic())) for event in stored)
        return Sent(len(stored), delivered, event_ids)

    def notify(self, topic: str, key: Hashable | None = None, count: int = 1) -> None:
        """Run waiting actions again that watch `topic`: jobs, done, events or machine."""
        self.notify_waiting(topic, key if isinstance(key, tuple) else () if key is None else (str(key),), count)

    def machine_row(self, name: str) -> MachineRow | None:
        """Return the registry's row of a machine."""
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
        """Start a machine in this runtime and return its name; with isolation="process" return the id of its process.

        A relative path is looked up in the working directory, then beside this machine's own file.
        """
        path = path.expanduser()
        beside = self.base_dir / path
        return self.start_machine(
            self.machine,
            path if path.is_absolute() or path.exists() or not beside.exists() else beside,
            name,
            context,
            isolation=isolation,
            detached=detached,
            actions_dir=actions_dir or self.actions_dir,
            additional_args=additional_args,
        )
