"""Measure the hot statements of the store through peewee's connections instead of our own.

    python -m benchmarks.peewee_layers [ROUNDS]

The same functions run on `storage.engine`, and on peewee's SqliteDatabase with one connection or with its pool. Figures
are operations in a second of CPU time, the best of all rounds; another load on the host does not change them much.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import peewee
from playhouse.pool import PooledSqliteDatabase

from statemachine_engine.storage import audit, jobs
from statemachine_engine.storage.engine.database import Database

COUNT = 1000
PRAGMAS = {"journal_mode": "wal", "synchronous": "normal", "temp_store": "memory", "wal_autocheckpoint": 4000}


class ThroughPeewee(Database):
    """A Database whose transactions and statements are peewee's."""

    peewee: Any
    pooled: bool

    @contextmanager
    def write(self) -> Iterator[Any]:
        with self._connected() as is_inner:
            if is_inner:
                yield None
                return
            with self.peewee.atomic("IMMEDIATE"):
                yield None

    @contextmanager
    def read(self) -> Iterator[Any]:
        with self._connected():
            yield None

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Any:
        return self.peewee.execute_sql(sql, params)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        return int(self.peewee.connection().executemany(sql, rows).rowcount)

    @contextmanager
    def _connected(self) -> Iterator[bool]:
        """Take a connection from the pool; yield whether a transaction is under way already."""
        if not self.peewee.is_closed() and self.peewee.in_transaction():
            yield True
        elif self.pooled:
            with self.peewee.connection_context():
                yield False
        else:
            self.peewee.connect(reuse_if_open=True)
            yield False


def main() -> None:
    """Print a line for each kind of connection."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    kinds = ("our own", "peewee, one connection", "peewee, pooled")
    best: dict[str, list[float]] = {kind: [0.0, 0.0, 0.0] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            with tempfile.TemporaryDirectory() as folder:
                found = _measured(_opened(kind, f"{folder}/store.db"))
            best[kind] = [max(pair) for pair in zip(best[kind], found, strict=True)]
    print(f"{'':24}{'claim, complete':>20}{'audit.write of 6':>20}{'jobs.get':>20}")
    for kind, figures in best.items():
        shares = (f"{figure:,.0f} ({figure / ours:.0%})" for figure, ours in zip(figures, best[kinds[0]], strict=True))
        print(f"{kind:24}{''.join(f'{share:>20}' for share in shares)}")


def _opened(kind: str, path: str) -> Database:
    Database.open(path).close()
    if kind == "our own":
        return Database.open(path)
    db = ThroughPeewee(path)
    db.pooled = kind.endswith("pooled")
    db.peewee = (PooledSqliteDatabase if db.pooled else peewee.SqliteDatabase)(path, pragmas=PRAGMAS, timeout=5)
    return db


def _measured(db: Database) -> tuple[float, float, float]:
    now_s = time.time()
    note = audit.Note("m", "state_change", {"from_state": "a", "to_state": "b", "event_trigger": "e"}, now_s)
    batch = [note] * 6 + [audit.StateRow("m", "b", now_s, "run")]
    jobs.enqueue_many(db, [jobs.NewJob("t", f"j{number}") for number in range(COUNT)])
    started_s = time.process_time()
    for _ in range(COUNT):
        job = jobs.claim(db, owner="w", job_type="t")
        assert job is not None
        jobs.complete(db, job.job_id, owner="w", attempt=job.attempts)
    claimed_s = time.process_time()
    for _ in range(COUNT):
        audit.write(db, batch)
    written_s = time.process_time()
    for _ in range(COUNT):
        jobs.get(db, "j1")
    read_s = time.process_time()
    return COUNT / (claimed_s - started_s), COUNT / (written_s - claimed_s), COUNT / (read_s - written_s)


if __name__ == "__main__":
    main()
