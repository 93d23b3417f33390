"""Several processes on one store: every job is claimed once, every event posted once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from statemachine_engine.storage import jobs, mailbox
from statemachine_engine.storage.engine.database import Database
from tests.support.factories import add_jobs

WORKER = """
import json, sys
from statemachine_engine.storage import jobs
from statemachine_engine.storage.engine.database import Database

url, owner = sys.argv[1:]
db = Database.open(url)
print("ready", flush=True)
sys.stdin.readline()
taken = []
while (job := jobs.claim(db, owner=owner, job_type="work")) is not None:
    taken.append(job.job_id)
    jobs.complete(db, job.job_id, owner=owner)
print(json.dumps(taken))
"""

POSTER = """
import sys
from statemachine_engine.storage import mailbox
from statemachine_engine.storage.engine.database import Database

url, source = sys.argv[1:]
db = Database.open(url)
print("ready", flush=True)
sys.stdin.readline()
for number in range(50):
    message = mailbox.post(db, "m", "go", number, source=source)
    print(message.id, message.after or 0)
"""


@pytest.fixture(params=["sqlite", "postgres"])
def shared_url(request: pytest.FixtureRequest, sqlite_path: Path) -> str:
    """A store that several processes can open."""
    return str(request.getfixturevalue("postgres_url")) if request.param == "postgres" else f"sqlite:///{sqlite_path}"


def run_together(program: str, url: str, count: int) -> list[str]:
    """Return the outputs of `count` processes, which start when all of them are ready."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, url, f"p{number}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for number in range(count)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    outputs: dict[int, str] = {}
    threads = [
        threading.Thread(target=lambda n=number, p=process: outputs.update({n: p.communicate("go\n", timeout=90)[0]}))
        for number, process in enumerate(processes)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.returncode for process in processes] == [0] * count
    return [outputs[number] for number in range(count)]


def test_eight_processes_claim_each_of_2000_jobs_once(shared_url: str) -> None:
    with Database.open(shared_url) as db:
        names = add_jobs(db, 2000)
        taken = Counter(name for output in run_together(WORKER, shared_url, 8) for name in json.loads(output))

        assert set(taken) == set(names)
        assert set(taken.values()) == {1}
        assert jobs.counts(db)["completed"] == 2000


def test_events_of_many_senders_form_one_chain(shared_url: str) -> None:
    with Database.open(shared_url) as db:
        outputs = run_together(POSTER, shared_url, 4)

        messages = mailbox.unread(db, "m", limit=1000)
        links = dict(map(int, line.split()) for output in outputs for line in output.splitlines())
        ids = [message.id for message in messages]
        assert [links[number] for number in ids] == [0, *ids[:-1]]
        for source in ("p0", "p1", "p2", "p3"):
            assert [message.payload for message in messages if message.source == source] == list(range(50))
