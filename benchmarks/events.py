"""Events a second through a machine's control socket.

Timed: a sender in a process of its own sends N datagrams as fast as they are taken; from its start until another
process can read the N-th `state_change` row (and the N-th row of the log action) in the store. N rows, counted there.
Floors, the same amount each: bare datagrams to a process that only receives them; pykka messages to an actor that only
counts; peewee's `insert_many` of the rows that an event leaves, 500 at a time.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import peewee
from harness import Benchmark, Figures, Row
from processes import Host, command, host, script, until

from statemachine_engine.storage.engine.database import Database

BATCH = 500

MOVES = {
    "initial_state": "a",
    "states": ["a", "b"],
    "transitions": [{"from": "a", "to": "b", "event": "go"}, {"from": "b", "to": "a", "event": "go"}],
}
LOGS = {**MOVES, "actions": {state: [{"type": "log", "message": "in {current_state}"}] for state in ("a", "b")}}

#: one datagram of the sender
MESSAGE = '{"type": "go", "payload": {"n": 1}, "job_id": null}'

RECORD = {
    "machine_name": "m0",
    "event_type": "state_change",
    "payload": MESSAGE,
    "created_at": "2026-01-01 00:00:00.000",
}
EVENT = {"target_machine": "m0", "event_type": "go", "payload": MESSAGE, "status": "processed"}

SEND = f"""
import socket, sys
out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
out.connect(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
data = {MESSAGE.encode()!r}
for _ in range(int(sys.argv[2])):
    out.send(data)
"""

RECEIVE = """
import socket, sys
inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
inbox.bind(sys.argv[1])
print("ready", flush=True)
for _ in range(int(sys.argv[2])):
    inbox.recv(65536)
print("done", flush=True)
"""

TELL = """
import sys, threading, pykka
sys.setswitchinterval(0.0005)
wanted, done = int(sys.argv[1]), threading.Event()
class Counter(pykka.ThreadingActor):
    count = 0
    def on_receive(self, message):
        self.count += 1
        if self.count == wanted:
            done.set()
counter = Counter.start()
print("ready", flush=True)
sys.stdin.readline()
for _ in range(wanted):
    counter.tell({"type": "go", "payload": {"n": 1}, "job_id": None})
done.wait()
print("done", flush=True)
counter.stop()
"""


def measure(quick: bool) -> Figures:
    """Measure one round."""
    count = 2_000 if quick else 10_000
    figures = {"datagrams": _datagrams(count), "tell": _tell(count)}
    with host(MOVES, "a") as running:
        figures["moves"] = _burst(running, count, logs=False)
    figures["rows_moves"] = count / insert_s(count, records=2, events=1)
    with host(LOGS, "a") as running:
        figures["logs"] = _burst(running, count, logs=True)
    figures["rows_logs"] = count / insert_s(count, records=3, events=1)
    with command(LOGS) as running:
        figures["command"] = _burst(running, count, logs=True)
    return figures


FLOORS = ("datagrams", "tell")

BENCHMARK = Benchmark(
    "events",
    (
        Row("events, no actions", "moves", "/s", (*FLOORS, "rows_moves"), target=6_000),
        Row("events, a log action in each state", "logs", "/s", (*FLOORS, "rows_logs"), target=3_000),
        Row("… under `statemachine`, its log in a file", "command", "/s", ("datagrams",)),
    ),
    {
        "datagrams": "raw datagrams",
        "tell": "pykka tell",
        "rows_moves": "peewee batch insert (3 rows each)",
        "rows_logs": "peewee batch insert (4 rows each)",
    },
    measure,
)


def insert_s(count: int, *, records: int, events: int) -> float:
    """Return the seconds in which peewee inserts `records` audit rows and `events` mailbox rows for each of `count`."""
    with tempfile.TemporaryDirectory(prefix="smb-") as folder:
        Database.open(f"{folder}/store.db").close()
        db = peewee.SqliteDatabase(f"{folder}/store.db", pragmas={"journal_mode": "wal", "synchronous": "normal"})
        record_model, event_model = _model(db, "realtime_events", RECORD), _model(db, "machine_events", EVENT)
        started_s = time.perf_counter()
        for start in range(0, count, BATCH):
            size = min(BATCH, count - start)
            with db.atomic():
                record_model.insert_many([RECORD] * size * records).execute()
                if events:
                    event_model.insert_many([EVENT] * size * events).execute()
        took_s = time.perf_counter() - started_s
        db.close()
    return took_s


class Rows:
    """Counts the rows of a running machine's audit log as they appear."""

    def __init__(self, db: Path) -> None:
        self._connection = sqlite3.connect(db)
        self._seen = self._id()
        self.moves = self.logs = 0

    def look(self) -> None:
        """Count what is new."""
        last = self._id()
        sql = "SELECT event_type, payload LIKE '%\"in %' FROM realtime_events WHERE id > ? AND id <= ?"
        for event_type, is_log in self._connection.execute(sql, (self._seen, last)):
            self.moves += event_type == "state_change"
            self.logs += is_log
        self._seen = last

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _id(self) -> int:
        return self._connection.execute("SELECT max(id) FROM realtime_events").fetchone()[0] or 0


# Helpers


def _burst(running: Host, count: int, *, logs: bool) -> float:
    with closing(Rows(running.db)) as rows, script(SEND, running.control(), str(count)) as sender:

        def all_there() -> bool:
            rows.look()
            return rows.moves >= count and (not logs or rows.logs >= count)

        started_s = time.perf_counter()
        sender.go()
        until(all_there, every_s=0.01)
        took_s = time.perf_counter() - started_s
        assert rows.moves == count, f"{rows.moves} state changes of {count} events"
    return count / took_s


def _datagrams(count: int) -> float:
    with tempfile.TemporaryDirectory(prefix="smb-") as folder:
        path = f"{folder}/raw.sock"
        with script(RECEIVE, path, str(count)) as receiver, script(SEND, path, str(count)) as sender:
            started_s = time.perf_counter()
            sender.go()
            receiver.read()
            return count / (time.perf_counter() - started_s)


def _tell(count: int) -> float:
    with script(TELL, str(count)) as actors:
        started_s = time.perf_counter()
        actors.go()
        actors.read()
        return count / (time.perf_counter() - started_s)


def _model(db: peewee.Database, table: str, columns: dict[str, Any]) -> type[peewee.Model]:
    meta = type("Meta", (), {"database": db, "table_name": table})
    return type("Inserted", (peewee.Model,), {"Meta": meta, **{name: peewee.TextField() for name in columns}})
