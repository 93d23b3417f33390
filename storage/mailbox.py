"""The mailboxes of all machines: an event is stored as a row before anybody is notified of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any

from . import problems
from .clock import epoch_or_zero, to_text
from .engine.database import Database
from .engine.sql import and_one_of, one_of
from .errors import PayloadTooLarge, StorageError
from .masking import masked_in
from .names import check_names, machine_name_fault, refusal
from .notifications import notify
from .payload import dumps, loads
from .row import Row

MAX_PAYLOAD_BYTES = 16 * 1024 * 1024
DEFAULT_TTL_S = 86_400.0
CHUNK = 500

INSERT = """
INSERT INTO machine_events (source_machine, target_machine, event_type, job_id, payload, status, created_at,
                            processed_at, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id"""
NEWEST = "SELECT max(id) FROM machine_events WHERE target_machine = ?"
MESSAGE = "SELECT id, source_machine, target_machine, event_type, payload, job_id, created_at FROM machine_events "
SETTLE = "UPDATE machine_events SET status = ?, processed_at = ? WHERE id = ? AND status = 'pending'"
UNREAD = "status = 'pending' AND (expires_at IS NULL OR expires_at > ?)"


@dataclass(frozen=True, slots=True)
class MailboxMessage:
    """One event for one machine."""

    id: int
    """Ascending; never used twice."""
    source: str | None
    target: str
    type: str
    payload: Any
    job_id: str | None
    created_at: float
    """Epoch seconds."""
    after: int | None = None
    """Of an event just posted: the newest earlier id for this target, so that a receiver notices a gap."""


@dataclass(frozen=True, slots=True)
class MailboxRow(Row):
    """One row of `machine_events`, as listings show it."""

    id: int
    source_machine: str | None
    target_machine: str
    event_type: str
    job_id: str | None
    payload: Any
    status: str
    """pending, processed, ignored or expired."""
    created_at: str | None
    processed_at: str | None
    expires_at: float | None


def post(
    db: Database,
    target: str,
    type: str,
    payload: Any = None,
    *,
    job_id: str | None = None,
    source: str | None = None,
    ttl_s: float | None = DEFAULT_TTL_S,
    status: str = "pending",
) -> MailboxMessage:
    """Put an event into a machine's mailbox; it expires unread after `ttl_s` seconds (None: never).

    A `status` other than pending records an event that nobody reads. PayloadTooLarge over 16 MiB of JSON.
    """
    return post_many(db, (target,), type, payload, job_id=job_id, source=source, ttl_s=ttl_s, status=status)[0]


def post_many(
    db: Database,
    targets: Sequence[str],
    type: str,
    payload: Any = None,
    *,
    job_id: str | None = None,
    source: str | None = None,
    ttl_s: float | None = DEFAULT_TTL_S,
    status: str = "pending",
) -> list[MailboxMessage]:
    """Post the same event to several machines, to all of them or to none. ValueRefused for what is no name."""
    check_names(event_type=type, job_id=job_id, source=source)
    for target in targets:
        if fault := machine_name_fault(target):
            raise refusal("target", target, fault)
    payload = masked_in(payload)  # the datagram has it masked as well
    text = _payload_text(db, payload)
    messages = []
    with db.write():
        for target in sorted(targets):  # one order for everybody, so that two senders never wait for each other
            db.lock(f"mailbox:{target}")
        now = db.now()
        created = to_text(now)
        expires_at = None if ttl_s is None else now + ttl_s
        settled = None if status == "pending" else created
        for target in targets:
            after = db.execute(NEWEST, (target,)).fetchone()[0]
            values = (source, target, type, job_id, text, status, created, settled, expires_at)
            number = db.execute(INSERT, values).fetchone()[0]
            messages.append(MailboxMessage(number, source, target, type, payload, job_id, now, after))
        if settled is None:
            notify(db, "mail", targets)
    return messages


def unread(
    db: Database, target: str, *, types: Sequence[str] | None = None, limit: int = 256, after_id: int = 0
) -> list[MailboxMessage]:
    """Return the unread events of these types (None: of any) that have not expired, in id order; they stay unread."""
    condition = f"target_machine = ? AND id > ? AND {UNREAD}{and_one_of('event_type', types)}"
    with db.read():
        rows = db.execute(
            f"{MESSAGE} WHERE {condition} ORDER BY id LIMIT ?",
            (target, after_id, db.now(), *(types or ()), limit),
        ).fetchall()
    return [_message(row) for row in rows]


def settle(db: Database, ids: Iterable[int], status: str) -> None:
    """Mark events processed, ignored or expired; those that are settled already keep their status."""
    with db.write():
        now = to_text(db.now())
        db.executemany(SETTLE, [(status, now, number) for number in ids])


def waits(db: Database, target: str, type: str, source: str) -> bool:
    """Return True if an event of this type from this source is still unread."""
    with db.read():
        found = db.execute(
            f"SELECT 1 FROM machine_events WHERE target_machine = ? AND {UNREAD} AND event_type = ? "
            "AND source_machine = ? LIMIT 1",
            (target, db.now(), type, source),
        ).fetchone()
    return found is not None


def expire(db: Database) -> int:
    """Mark unread events past their time to live as expired. Return the number of events."""
    with db.read():
        past = "status = 'pending' AND expires_at <= ?"
        if not db.execute(f"SELECT 1 FROM machine_events WHERE {past} LIMIT 1", (db.now(),)).fetchone():
            return 0
    with db.write():
        now = db.now()
        return db.execute(
            f"UPDATE machine_events SET status = 'expired', processed_at = ? WHERE {past}", (to_text(now), now)
        ).rowcount


def clear(
    db: Database, *, target: str | None = None, types: Sequence[str] | None = None, status: str | None = None
) -> int:
    """Delete the events that match all that is given; nothing given deletes all. Return the number of events."""
    condition = ("1 = 1" if target is None else "target_machine = ?") + and_one_of("event_type", types)
    condition += "" if status is None else " AND status = ?"
    params = [value for value in (target, *(types or ()), status) if value is not None]
    with db.write():
        return db.execute(f"DELETE FROM machine_events WHERE {condition}", params).rowcount


def prune(db: Database, older_than_s: float) -> int:
    """Delete settled events created before then. Return the number of events."""
    with db.write():
        return db.execute(
            "DELETE FROM machine_events WHERE status <> 'pending' AND created_at < ?",
            (to_text(db.now() - older_than_s),),
        ).rowcount


def list_(
    db: Database, *, target: str | None = None, status: str | None = None, limit: int | None = 20
) -> list[MailboxRow]:
    """Return the events that match all that is given, newest first; `limit` None: all of them."""
    from .engine.models import EventRow, fetch, has_status  # peewee takes longer to load than most commands take to run

    query = EventRow.select(*(getattr(EventRow, field.name) for field in fields(MailboxRow)))
    if target is not None:
        query = query.where(EventRow.target_machine == target)
    if status is not None:
        query = query.where(has_status(EventRow.status, status))
    rows = fetch(db, query.order_by(EventRow.id.desc()).limit(limit))
    return [_mailbox_row(row) for row in rows]


def pending_targets(db: Database, names: Iterable[str]) -> dict[str, int]:
    """Return the newest unread id of each of these machines that has unread events."""
    wanted = list(names)
    found: dict[str, int] = {}
    with db.read():
        for start in range(0, len(wanted), CHUNK):
            chunk = wanted[start : start + CHUNK]
            condition = f"{UNREAD} AND {one_of('target_machine', chunk)}"
            rows = db.execute(
                f"SELECT target_machine, max(id) FROM machine_events WHERE {condition} GROUP BY target_machine",
                (db.now(), *chunk),
            ).fetchall()
            found.update(rows)
    return found


def depths(db: Database) -> dict[str, int]:
    """Return the number of unread events of each machine; machines without any are missing."""
    with db.read():
        rows = db.execute(
            f"SELECT target_machine, count(*) FROM machine_events WHERE {UNREAD} GROUP BY target_machine", (db.now(),)
        ).fetchall()
    return dict(rows)


# Helpers


def _payload_text(db: Database, payload: Any) -> str | None:
    if payload is None:
        return None
    text = dumps(payload)
    if len(text) > MAX_PAYLOAD_BYTES:
        with suppress(StorageError):
            problems.add(
                db, [problems.ProblemCount("payload_refused", 1, 0.0)]
            )  # the sender may be no runtime, which would count it
        raise PayloadTooLarge(len(text), MAX_PAYLOAD_BYTES)
    return text


def _mailbox_row(row: Any) -> MailboxRow:
    number, source, target, type, job_id, payload, *rest = row
    return MailboxRow(number, source, target, type, job_id, loads(payload), *rest)


def _message(row: Any) -> MailboxMessage:
    return MailboxMessage(row[0], row[1], row[2], row[3], loads(row[4]), row[5], epoch_or_zero(row[6]))
