"""A hundred thousand jobs are added in little memory, and exactly once in spite of a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from statemachine_engine.storage import jobs
from statemachine_engine.storage.engine.database import Database
from tests.support.project import BIN
from tests.support.until import until

COUNT = 100_000
MEGABYTES = 200


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The jobs, one per line."""
    path = tmp_path / "jobs.jsonl"
    rows = ({"job_id": f"job-{n:06d}", "type": "t", "payload": {"n": n, "text": "x" * 50}} for n in range(COUNT))
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """The database that they are added to."""
    with Database.open(f"sqlite:///{tmp_path / 'jobs.db'}") as db:
        yield db


def start(file: Path, db: Database) -> subprocess.Popen[str]:
    environ = {**os.environ, "STATEMACHINE_DB": db.url}
    return subprocess.Popen(
        [str(BIN / "statemachine-db"), "add-jobs", str(file)], env=environ, stdout=subprocess.PIPE, text=True
    )


def peak_kb(pid: int) -> int:
    """Return the peak memory of a process. Its rusage would also count the memory of its parent at the fork."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def stored(db: Database) -> int:
    return sum(jobs.counts(db).values())


def test_a_hundred_thousand_jobs_go_in_with_less_than_200_mb(file: Path, db: Database) -> None:
    process = start(file, db)
    most = 0
    while process.poll() is None:
        most = max(most, peak_kb(process.pid))
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    said = process.communicate()[0]

    assert (process.returncode, said) == (0, f"✅ {COUNT} jobs added\n")
    assert stored(db) == COUNT
    assert 0 < most / 1024 < MEGABYTES


def test_killed_half_way_and_run_again_it_is_exactly_a_hundred_thousand(file: Path, db: Database) -> None:
    process = start(file, db)
    until(lambda: stored(db) >= COUNT // 2, timeout_s=60)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    there = stored(db)
    assert COUNT // 2 <= there < COUNT
    assert there % 1000 == 0

    again = start(file, db)
    said, _ = again.communicate(timeout=90)

    assert said == f"✅ {COUNT - there} jobs added, {there} there already\n"
    assert stored(db) == COUNT
