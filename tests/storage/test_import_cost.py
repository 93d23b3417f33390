"""Test that short commands import only what they need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from statemachine_engine.storage import audit, jobs, machines, mailbox
from statemachine_engine.storage.engine.database import Database

with Database.open(sys.argv[1]) as db:
    jobs.enqueue(db, None, "work", data={"a": 1})
    jobs.claim(db, owner="w")
    mailbox.post(db, "m", "go")
    audit.write(db, [audit.Note("m", "n", {}, 1.0)])
print(*sorted({"peewee", "psycopg", "uuid", "logging"} & set(sys.modules)))
"""


def test_adding_a_job_loads_neither_peewee_nor_a_driver_of_another_database(sqlite_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, sqlite_path], capture_output=True, text=True, timeout=60)

    assert (done.stdout, done.stderr) == ("\n", "")
