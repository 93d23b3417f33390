"""Jobs a second with one worker.

Timed: N jobs stand in the queue, put there in one transaction, when a waiting worker is notified; from the
notification until the N-th is completed in the store. The worker claims a job, runs one action (a log line, or `true`
under /bin/sh) and asks for the next, which completes the one before. Floors: the engine's own claim and complete in a
bare loop without a machine; peewee's `insert_many` of the 5 rows that such a job leaves in the audit log; and for bash
jobs a loop of fork, exec of `/bin/sh -c true` and wait in a bare interpreter, and one of `os.posix_spawn`, which copies
no page tables.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from contextlib import closing
from typing import Any

from events import insert_s
from harness import Benchmark, Figures, Row
from processes import Host, command, host, script, until

from statemachine_engine.actors.sockets import notifications
from statemachine_engine.storage import jobs
from statemachine_engine.storage.engine.database import Database

RECORDS = 5

FORK = """
import os, sys
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        os.execv("/bin/sh", ["/bin/sh", "-c", "true"])
    os.waitpid(pid, 0)
print("done", flush=True)
"""

SPAWN = """
import os, sys
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[1])):
    os.waitpid(os.posix_spawn("/bin/sh", ["/bin/sh", "-c", "true"], os.environ), 0)
print("done", flush=True)
"""


def worker(action: dict[str, Any]) -> dict[str, Any]:
    """Return a worker whose only action leads back to the queue."""
    return {
        "initial_state": "waiting",
        "states": ["waiting", "working"],
        "transitions": [
            {"from": "waiting", "to": "working", "event": "new_job"},
            {"from": "working", "to": "waiting", "event": "job_done"},
        ],
        "actions": {
            "waiting": [{"type": "check_database_queue", "job_type": "work"}],
            "working": [action | {"success": "job_done"}],
        },
    }


LOG = worker({"type": "log", "message": "job {job_id} number {n}"})
BASH = worker({"type": "bash", "command": "true"})


def measure(quick: bool) -> Figures:
    """Measure one round."""
    many, few = (300, 100) if quick else (3_000, 600)
    figures = {"queue": _bare_queue(many), "rows": many / insert_s(many, records=RECORDS, events=0)}
    with host(LOG, "waiting") as running:
        figures["log"] = _worker(running, many)
    figures |= {"fork": _loop(FORK, few), "spawn": _loop(SPAWN, few)}
    with host(BASH, "waiting") as running:
        figures["bash"] = _worker(running, few)
    with command(LOG) as running:
        figures["command"] = _worker(running, many)
    return figures


BENCHMARK = Benchmark(
    "jobs",
    (
        Row("jobs, one worker, log action", "log", "/s", ("queue", "rows"), target=1_000),
        Row("… under `statemachine`, its log in a file", "command", "/s", ("queue",)),
        Row("jobs, one worker, bash action `true`", "bash", "/s", ("fork", "spawn"), target_ratio=0.6),
    ),
    {
        "queue": "claim + complete without a machine",
        "rows": "peewee batch insert (5 rows each)",
        "fork": "raw fork + exec of /bin/sh -c true",
        "spawn": "raw posix_spawn of /bin/sh -c true",
    },
    measure,
)


# Helpers


def _worker(running: Host, count: int) -> float:
    with Database.open(running.db) as db, closing(sqlite3.connect(running.db)) as connection:

        def all_done() -> bool:
            sql = "SELECT count(*) FROM jobs WHERE status = 'completed'"
            return bool(connection.execute(sql).fetchone()[0] >= count - 1)

        rows = [jobs.NewJob("work", data={"n": number}) for number in range(count)]
        jobs.enqueue_many(db, rows)
        started_s = time.perf_counter()
        notifications.notify(db, "jobs", key=("work", None))
        until(all_done, every_s=0.01)
        return (count - 1) / (time.perf_counter() - started_s)


def _bare_queue(count: int) -> float:
    with tempfile.TemporaryDirectory(prefix="smb-") as folder, Database.open(f"{folder}/store.db") as db:
        jobs.enqueue_many(db, [jobs.NewJob("work", data={"n": number}) for number in range(count)])
        started_s = time.perf_counter()
        for _ in range(count):
            job = jobs.claim(db, owner="bench", job_type="work")
            assert job is not None
            jobs.complete(db, job.job_id, owner="bench")
        return count / (time.perf_counter() - started_s)


def _loop(source: str, count: int) -> float:
    with script(source, str(count)) as process:
        started_s = time.perf_counter()
        process.go()
        process.read()
        return count / (time.perf_counter() - started_s)
