"""Deliver events from a process to running machines of other processes and to the monitor page."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...storage import audit, machines, mailbox
from ..processes.liveness import is_here, is_running
from . import datagrams, notifications, unix_socket

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ...storage.jobs import Job
    from ...storage.machines import MachineRow
    from ...storage.mailbox import MailboxMessage

#: the target of events that are meant for the monitor page alone
UI = "ui"

#: types that machines themselves report; an event of such a type is not shown as if a machine had reported it
ENGINE_TYPES = frozenset(
    {
        "state_change", "error", "job_started", "job_completed", "job_failed",
        "machine_registered", "machine_terminated",
    }
)  # fmt: skip

#: seconds that delivering one event to all its targets may take
PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Event:
    """An event as a command or a request gives it."""

    type: str
    payload: Any = None
    job_id: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """The result of sending an event to one target."""

    event: MailboxMessage
    #: True if the target runs; None for the page, which is no machine
    running: bool | None
    #: True if its control socket took the datagram
    delivered: bool
    #: True if the monitor's socket took it
    shown: bool


def targets_of(db: Database, target: str, *, sender: str | None = None) -> list[str]:
    """Return the target machines: a plain name as it is, for `all` and globs every known match but the sender."""
    if target != "all" and not any(mark in target for mark in "*?["):
        return [target]
    pattern = "*" if target == "all" else target
    known = (row.machine_name for row in machines.list_(db))
    return [name for name in known if name != sender and fnmatch.fnmatchcase(name, pattern)]


def send(db: Database, targets: list[str], event: Event, *, prefix: str, event_socket: str) -> list[Delivery]:
    """Store the event for each target in one transaction, then deliver it within PATIENCE_S. StorageError."""
    shown = UI in targets or event.type not in ENGINE_TYPES
    status = "processed" if targets == [UI] else "pending"  # the page reads the audit log, nobody reads this row
    with db.write():
        stored = mailbox.post_many(
            db, targets, event.type, event.payload, job_id=event.job_id, source=event.source, status=status
        )
        payload = {} if event.payload is None else event.payload
        row = audit.write_note(db, event.source or "cli", event.type, payload) if shown else None
    patience_s = PATIENCE_S / (len(targets) + 1)
    taken = row is not None and unix_socket.send_message(event_socket, row.envelope(), patience_s)
    return [_delivery(db, sent, prefix, patience_s, taken) for sent in stored]


def deliver(db: Database, event: MailboxMessage, timeout_s: float) -> bool:
    """Send a stored event to its machine if it runs in another process of this host; return True if it was taken."""
    row = machines.get(db, event.target)
    if row is None or not row.control_socket or not is_here(row) or not is_running(row, db.now()):
        return False
    return unix_socket.send_message(row.control_socket, datagrams.datagram_of(event), timeout_s)


def announce_job(db: Database, type: str, job: Job) -> None:
    """Record how a job ended, show it on the page, and notify the machines that wait for the job."""
    payload = {"job_id": job.job_id, "job_type": job.job_type}
    if job.error_message:
        payload["error_message"] = job.error_message
    row = audit.write_note(db, "cli", type, payload)
    unix_socket.send_message(unix_socket.event_socket(), row.envelope(), 0.2)
    notifications.notify(db, "done", key=(job.job_id,))


# Helpers


def _delivery(db: Database, event: MailboxMessage, prefix: str, patience_s: float, shown: bool) -> Delivery:
    if event.target == UI:
        return Delivery(event, None, False, shown)
    row = machines.get(db, event.target)
    path = (row.control_socket if row else None) or unix_socket.control_path(prefix, event.target)
    if row is None or not is_running(row, db.now()):
        delivered = _may_be_elsewhere(row) and _hand_over(db, event, path, patience_s)
        return Delivery(event, delivered, delivered, shown)
    delivered = is_here(row) and unix_socket.send_message(path, datagrams.datagram_of(event), patience_s)
    return Delivery(event, True, delivered, shown)


def _hand_over(db: Database, event: MailboxMessage, path: Path | str, patience_s: float) -> bool:
    """Deliver the event to a machine of another store that listens there, without the ids of our rows.

    A machine of this store that has started meanwhile reads the event in its mailbox instead. It registers before it
    listens, so the registry is read again once the connection is made.
    """

    def is_elsewhere() -> bool:
        return _may_be_elsewhere(machines.get(db, event.target))

    data = datagrams.encode({**datagrams.datagram_of(event), "event_id": None, "after": None})
    if len(data) > datagrams.MAX_DATAGRAM or not unix_socket.send(path, data, patience_s, only_if=is_elsewhere):
        return False
    mailbox.settle(db, [event.id], "processed")
    return True


def _may_be_elsewhere(row: MachineRow | None) -> bool:
    """Return True if a listening machine of this name must belong to another store: ours never ran or has ended.

    A killed machine has not ended in order: its socket may still take what nobody will read.
    """
    return row is None or (not row.running and is_here(row))
