"""From a command to running machines and the monitor: stored first, then rung."""

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

UI = "ui"

#: what machines themselves report; an event of such a name for a machine is not shown as if one had
ENGINE_TYPES = frozenset(
    {
        "state_change", "error", "job_started", "job_completed", "job_failed",
        "machine_registered", "machine_terminated",
    }
)  # fmt: skip

#: seconds that one command may wait for machines that take nothing
PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Event:
    """An event as the command line gives it."""

    type: str
    payload: Any = None
    job_id: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one event for one target."""

    letter: MailboxMessage
    #: the target runs; None for the page, which is no machine
    running: bool | None
    #: its control socket took the datagram
    rung: bool
    #: the monitor's socket took it
    shown: bool


def targets_of(db: Database, target: str) -> list[str]:
    """The machines meant: one name as it is, `all` and globs as every known match."""
    if target != "all" and not any(mark in target for mark in "*?["):
        return [target]
    pattern = "*" if target == "all" else target
    return [row.machine_name for row in machines.list_(db) if fnmatch.fnmatchcase(row.machine_name, pattern)]


def send(db: Database, targets: list[str], event: Event, *, prefix: str, event_socket: str) -> list[Delivery]:
    """Store one event a target in one transaction, then tell machines and monitor; at most PATIENCE_S in all."""
    shown = UI in targets or event.type not in ENGINE_TYPES
    status = "processed" if targets == [UI] else "pending"  # the page reads the audit log, nobody this row
    with db.write():
        letters = mailbox.post_many(
            db, targets, event.type, event.payload, job_id=event.job_id, source=event.source, status=status
        )
        envelope = _note(db, event.source or "cli", event.type, event.payload) if shown else None
    patience_s = PATIENCE_S / (len(targets) + 1)
    told = envelope is not None and unix_socket.ring(event_socket, envelope, patience_s)
    return [_deliver(db, letter, prefix, patience_s, told) for letter in letters]


def announce_job(db: Database, type: str, job: Job) -> None:
    """Record and show how a job ended, and wake the machines that wait for it."""
    payload = {"job_id": job.job_id, "job_type": job.job_type}
    if job.error_message:
        payload["error_message"] = job.error_message
    with db.write():
        envelope = _note(db, "cli", type, payload)
    unix_socket.ring(unix_socket.event_socket(), envelope, 0.2)
    notifications.bell(db, "done", key=(job.job_id,))


# Helpers


def _note(db: Database, machine: str, type: str, payload: Any) -> dict[str, Any]:
    """Write the audit row; the envelope of the event socket for it."""
    now_s = db.now()
    body = payload if isinstance(payload, dict) else {} if payload is None else {"payload": payload}
    (row_id,) = audit.write(db, [audit.Note(machine, type, body, now_s)])
    return audit.Event(row_id, machine, type, body, now_s).envelope()


def _deliver(db: Database, letter: MailboxMessage, prefix: str, patience_s: float, shown: bool) -> Delivery:
    if letter.target == UI:
        return Delivery(letter, None, False, shown)
    row = machines.get(db, letter.target)
    path = (row.control_socket if row else None) or unix_socket.control_path(prefix, letter.target)
    if row is None or not is_running(row, db.now()):
        rung = _is_elsewhere(row) and _hand_over(db, letter, path, patience_s)
        return Delivery(letter, rung, rung, shown)
    rung = is_here(row) and unix_socket.ring(path, datagrams.letter_message(letter), patience_s)
    return Delivery(letter, True, rung, shown)


def _hand_over(db: Database, letter: MailboxMessage, path: Path | str, patience_s: float) -> bool:
    """Give the event to a machine of another store that listens there; the ids of our rows mean nothing to it.

    One of this store that has come up meanwhile is no such machine, and finds the event in its mailbox. It is on the
    register before it listens, so the register is asked again when it is settled who listens.
    """

    def is_elsewhere() -> bool:
        return _is_elsewhere(machines.get(db, letter.target))

    data = datagrams.encode({**datagrams.letter_message(letter), "event_id": None, "after": None})
    if len(data) > datagrams.MAX_DATAGRAM or not unix_socket.send(path, data, patience_s, only_if=is_elsewhere):
        return False
    mailbox.settle(db, [letter.id], "processed")
    return True


def _is_elsewhere(row: MachineRow | None) -> bool:
    """Whether a machine that listens here must be another store's: ours never ran, or has signed off.

    One that was killed has not: while its threads die, its socket may still take what nobody will read.
    """
    return row is None or (not row.running and is_here(row))
