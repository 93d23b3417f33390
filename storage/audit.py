"""The audit log, written in batches together with the states of machines and the marks of events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from . import contexts, snapshots
from .clock import epoch_or_zero, to_text
from .contexts import ContextRow
from .engine.database import Database
from .engine.sql import and_one_of, upsert
from .errors import CommitInDoubt
from .payload import dumps, loads
from .row import Row
from .snapshots import Forgotten, Saved

PRUNE_CHUNK = 5000
COUNT_CHUNK = 5000
#: the lock that keeps two batches apart on PostgreSQL
LOCK = "audit"
MAX_ID = 2**63 - 1
#: the keys of a transition in its payload
MOVE = ("from_state", "to_state", "event_trigger")

COLUMNS = "id, machine_name, event_type, payload, created_at"
NOTE = "INSERT INTO realtime_events (machine_name, event_type, payload, created_at) VALUES (?, ?, ?, ?)"
STATE = (
    upsert("machine_state", ("machine_name", "current_state", "last_activity", "incarnation"))
    + " WHERE machine_state.incarnation IS NULL OR machine_state.incarnation = excluded.incarnation"
)
MARK = "UPDATE machine_events SET status = ?, processed_at = ? WHERE id = ? AND status IN ('pending', 'expired')"
RECEIVED = """
INSERT INTO machine_events (target_machine, event_type, payload, job_id, source_machine, status, created_at,
                            processed_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""


class Note(NamedTuple):
    """A row of `realtime_events` to be written."""

    machine: str
    type: str
    payload: dict[str, Any]
    timestamp: float


class StateRow(NamedTuple):
    """The state that a machine is in; ignored if another incarnation holds the name."""

    machine: str
    state: str
    last_activity: float
    incarnation: str


class Mark(NamedTuple):
    """The status that an event of the mailbox gets: processed, ignored or expired."""

    event_id: int
    status: str


class Received(NamedTuple):
    """An event that came without a row of its own, with its status."""

    target: str
    type: str
    payload: Any
    job_id: str | None
    source: str | None
    status: str
    timestamp: float


Record = Note | StateRow | Mark | Received | Saved | Forgotten | ContextRow


@dataclass(frozen=True, slots=True)
class Event:
    """One row of `realtime_events`."""

    id: int
    machine: str | None
    type: str
    payload: Any
    timestamp: float
    """Epoch seconds."""

    @property
    def fields(self) -> dict[str, Any]:
        """The payload, or an empty dict if it is no object."""
        return self.payload if isinstance(self.payload, dict) else {}

    def envelope(self) -> dict[str, Any]:
        """Return the event as sockets and pages get it."""
        return {
            "machine_name": self.machine,
            "type": self.type,
            "event_type": self.type,
            "payload": self.payload,
            "id": self.id,
            "timestamp": self.timestamp,
        }


@dataclass(frozen=True, slots=True)
class StateChange(Row):
    """A transition that a machine made."""

    id: int
    machine: str | None
    from_state: str | None
    to_state: str | None
    event: str | None
    timestamp: float


@dataclass(frozen=True, slots=True)
class ErrorRow(Row):
    """An error that a machine met."""

    id: int
    machine: str | None
    error_message: str | None
    job_id: str | None
    timestamp: float


def write(db: Database, records: Sequence[Record]) -> list[int]:
    """Write a batch in one transaction. Return the ids of its notes, in their order; ids become visible in order.

    Of several states of one machine the last one counts. CommitInDoubt carries the ids that `is_written` needs.
    """
    batch = _sorted_out(records, to_text(db.now()))
    ids: list[int] = []
    try:
        _write(db, batch, ids)
    except CommitInDoubt as doubt:
        doubt.note_ids = ids
        raise
    return ids


def write_note(db: Database, machine: str, type: str, payload: Any) -> Event:
    """Write one event and return its row; a payload that is no object stands under `payload`."""
    body = payload if isinstance(payload, dict) else {"payload": payload}
    now_s = db.now()
    (row_id,) = write(db, [Note(machine, type, body, now_s)])
    return Event(row_id, machine, type, body, now_s)


def is_written(db: Database, records: Sequence[Record], ids: Sequence[int]) -> bool:
    """Return True if a batch whose commit was in doubt is stored; after a crash the server may give its ids again."""
    batch = _sorted_out(records, "")
    with db.write():
        db.lock(LOCK)  # wait for a commit that is still under way
        row = db.execute(
            "SELECT machine_name, event_type, payload, created_at FROM realtime_events WHERE id = ?", (ids[-1],)
        ).fetchone()
    return row is not None and tuple(row) == batch.notes[-1]


def since(
    db: Database,
    after_id: int,
    limit: int = 500,
    machines: Sequence[str] | None = None,
    types: Sequence[str] | None = None,
) -> list[Event]:
    """Return events after this id, in id order, of these machines and types (None: of all)."""
    return _page(db, "id > ?", after_id, machines, types, "id", limit)


def before(
    db: Database,
    before_id: int | None,
    limit: int = 100,
    machines: Sequence[str] | None = None,
    types: Sequence[str] | None = None,
) -> list[Event]:
    """Return events before this id (None: the newest), newest first, of these machines and types (None: of all)."""
    return _page(db, "id < ?", MAX_ID if before_id is None else before_id, machines, types, "id DESC", limit)


def transitions(
    db: Database, machine: str | None = None, hours: float | None = None, limit: int | None = 20
) -> list[StateChange]:
    """Return the transitions of a machine (None: of all) within the last hours, newest first."""
    return [
        StateChange(event.id, event.machine, *_move(event.payload), event.timestamp)
        for event in newest(db, "state_change", machine, hours, limit)
    ]


def transition_counts(db: Database, machine: str, hours: float | None = None) -> Counter[tuple[str, str, str]]:
    """Count the transitions of a machine within the last hours, by source state, target state and event."""
    counts: Counter[tuple[str, str, str]] = Counter()
    earliest = 0.0 if hours is None else db.now() - hours * 3600
    for _, created_at, payload in _moves(db, machine, 0):
        source, target, trigger = _move(payload)
        if None not in (source, target, trigger) and epoch_or_zero(created_at) >= earliest:
            counts[str(source), str(target), str(trigger)] += 1
    return counts


def moves_after(db: Database, machine: str, after_id: int) -> tuple[int, Counter[tuple[str, str, str]]]:
    """Count the transitions of a machine after this id, and return the last id that is counted as well.

    Made for the page: it reads 100,000 rows in a third of a second.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    last_id = after_id
    for last_id, _, payload in _moves(db, machine, after_id):  # noqa: B007 - the last one counts
        if isinstance(payload, dict):
            source, target, trigger = map(payload.get, MOVE)
            counts[str(source), str(target), str(trigger)] += 1
    return last_id, counts


def errors(
    db: Database, machine: str | None = None, hours: float | None = None, limit: int | None = 20
) -> list[ErrorRow]:
    """Return the errors of a machine (None: of all) within the last hours, newest first."""
    return [
        ErrorRow(
            event.id,
            event.machine,
            _text(event.payload, "error_message"),
            _text(event.payload, "job_id"),
            event.timestamp,
        )
        for event in newest(db, "error", machine, hours, limit)
    ]


def newest(db: Database, type: str, machine: str | None, hours: float | None, limit: int | None) -> list[Event]:
    """Return events of one type and machine (None: of all) within the last hours, newest first; `limit` None: all."""
    from .engine.models import NoteRow, fetch  # peewee takes longer to load than most commands take to run

    columns = (NoteRow.id, NoteRow.machine_name, NoteRow.event_type, NoteRow.payload, NoteRow.created_at)
    query = NoteRow.select(*columns).where(NoteRow.event_type == type)
    if machine is not None:
        query = query.where(NoteRow.machine_name == machine)
    if hours is not None:
        query = query.where(NoteRow.created_at >= to_text(db.now() - hours * 3600))
    return [_event(row) for row in fetch(db, query.order_by(NoteRow.id.desc()).limit(limit))]


def newest_id(db: Database) -> int:
    """Return the id of the newest event, 0 if there is none."""
    with db.read():
        return db.execute("SELECT max(id) FROM realtime_events").fetchone()[0] or 0


def oldest_id(db: Database) -> int:
    """Return the id of the oldest event that is kept, 0 if there is none."""
    with db.read():
        return db.execute("SELECT min(id) FROM realtime_events").fetchone()[0] or 0


def last_before(db: Database, moment_s: float) -> int:
    """Return the id of the newest event before this moment (epoch seconds), 0 if there is none."""
    with db.read():
        row = db.execute(
            "SELECT id FROM realtime_events WHERE created_at < ? ORDER BY id DESC LIMIT 1", (to_text(moment_s),)
        ).fetchone()
    return row[0] if row else 0


def prune(db: Database, older_than_s: float) -> int:
    """Delete older events, in chunks, so that writers get in between. Return the number of events."""
    before = to_text(db.now() - older_than_s)
    with db.read():
        kept = db.execute(
            "SELECT id FROM realtime_events WHERE created_at >= ? ORDER BY id LIMIT 1", (before,)
        ).fetchone()
        first, last = db.execute("SELECT min(id), max(id) FROM realtime_events").fetchone()
    end = kept[0] if kept else (last or 0) + 1
    deleted = 0
    for start in range(first or end, end, PRUNE_CHUNK):
        with db.write():
            bounds = (start, min(start + PRUNE_CHUNK, end))
            deleted += db.execute("DELETE FROM realtime_events WHERE id >= ? AND id < ?", bounds).rowcount
    return deleted


# Helpers


def _page(
    db: Database, bound: str, number: int, machines: Sequence[str] | None, types: Sequence[str] | None, order: str,
    limit: int,
) -> list[Event]:  # fmt: skip
    condition = bound + and_one_of("machine_name", machines) + and_one_of("event_type", types)
    with db.read():
        rows = db.execute(
            f"SELECT {COLUMNS} FROM realtime_events WHERE {condition} ORDER BY {order} LIMIT ?",
            (number, *(machines or ()), *(types or ()), limit),
        ).fetchall()
    return [_event(row) for row in rows]


def _moves(db: Database, machine: str, after_id: int) -> Iterator[tuple[int, str, Any]]:
    """Yield id, time and payload of a machine's transitions after this id, oldest first, read in chunks."""
    while True:
        with db.read():
            rows = db.execute(
                "SELECT id, created_at, payload FROM realtime_events WHERE id > ? AND machine_name = ? "
                "AND event_type = 'state_change' ORDER BY id LIMIT ?",
                (after_id, machine, COUNT_CHUNK),
            ).fetchall()
        for after_id, created_at, text in rows:
            yield after_id, created_at, loads(text)
        if len(rows) < COUNT_CHUNK:
            return


def _write(db: Database, batch: _Batch, ids: list[int]) -> None:
    """Write the batch. `ids` is filled before the commit, for the case that the answer to it is lost."""
    with db.write():
        if batch.states:
            db.executemany(STATE, list(batch.states.values()))
        if batch.snapshots:
            snapshots.write(db, batch.snapshots.values())
        if batch.contexts:
            contexts.write(db, batch.contexts.values())
        if batch.marks:
            db.executemany(MARK, batch.marks)
        if batch.received:
            db.executemany(RECEIVED, batch.received)
        if batch.notes:
            ids += _insert_notes(db, batch.notes)


class _Batch(NamedTuple):
    """The rows of each statement; of a machine's states, snapshots and contexts the last one counts."""

    notes: list[Any]
    states: dict[str, StateRow]
    marks: list[Any]
    received: list[Any]
    snapshots: dict[str, Saved | Forgotten]
    contexts: dict[str, ContextRow]


def _sorted_out(records: Sequence[Record], now: str) -> _Batch:
    batch = _Batch([], {}, [], [], {}, {})
    for record in records:
        if isinstance(record, Note):
            batch.notes.append((record.machine, record.type, dumps(record.payload), to_text(record.timestamp)))
        elif isinstance(record, StateRow):
            batch.states[record.machine] = record
        elif isinstance(record, Mark):
            batch.marks.append((record.status, now, record.event_id))
        elif isinstance(record, Received):
            batch.received.append((*record[:2], dumps(record.payload), *record[3:6], to_text(record.timestamp), now))
        elif isinstance(record, ContextRow):
            batch.contexts[record.machine] = record
        else:
            batch.snapshots[record.machine] = record
    return batch


def _insert_notes(db: Database, notes: list[Any]) -> list[int]:
    if db.is_postgres:
        db.lock(LOCK)  # ids are given before the commit: with two batches at a time a reader would skip some
        columns = list(zip(*notes, strict=True))
        rows = db.execute(
            "INSERT INTO realtime_events (machine_name, event_type, payload, created_at) "
            "SELECT m, t, p, c FROM unnest(?::text[], ?::text[], ?::text[], ?::text[]) WITH ORDINALITY "
            "AS batch (m, t, p, c, place) ORDER BY place RETURNING id",
            [list(column) for column in columns],
        ).fetchall()
        return sorted(row[0] for row in rows)
    db.executemany(NOTE, notes)
    last = db.execute("SELECT last_insert_rowid()").fetchone()[0]  # alone in the transaction, so ids have no gaps
    return list(range(last - len(notes) + 1, last + 1))


def _event(row: Any) -> Event:
    return Event(row[0], row[1], row[2], loads(row[3]), epoch_or_zero(row[4]))


def _move(payload: Any) -> tuple[str | None, str | None, str | None]:
    source, target, trigger = (_text(payload, key) for key in MOVE)
    return source, target, trigger


def _text(payload: Any, key: str) -> str | None:
    value = payload.get(key) if isinstance(payload, dict) else None
    return None if value is None else str(value)
