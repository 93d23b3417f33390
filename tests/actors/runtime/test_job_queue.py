"""The job queue as a Python program uses it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine import JobQueue, Machine, Runtime
from statemachine_engine.actors.runtime.machine import WaitTimeout
from statemachine_engine.storage import jobs
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import JobExists, JobNotFound, StoreUnavailable
from tests.support.factories import claimed

WORKER = """
    initial_state: waiting
    states: [waiting, working, stopped]
    transitions:
      - {from: waiting, event: new_job, to: working}
      - {from: working, event: done, to: waiting}
      - {from: "*", event: stop, to: stopped}
    actions:
      waiting: [{type: check_database_queue, job_type: work}]
      working: [{type: set_context, key: x, value: 1, success: done}]
"""


def test_a_job_added_to_a_runtime_is_done_and_waited_for(runtime: Runtime, start: Callable[..., Machine]) -> None:
    start(WORKER)
    queue = JobQueue(runtime)
    jobs_added = [queue.add("work", {"n": number}) for number in range(20)]
    for job in jobs_added:
        assert queue.wait(job.job_id, 10).status == "completed"
    assert {job.status for job in queue.list(job_type="work", limit=50)} == {"completed"}
    assert not runtime.resources.wait_board.keys("done")


def test_coroutines_may_wait(runtime: Runtime, start: Callable[..., Machine]) -> None:
    start(WORKER)
    queue = JobQueue(runtime)
    job = asyncio.run(queue.wait_async(queue.add("work").job_id, 10))
    assert job.status == "completed"


def test_waiting_for_a_job_that_nobody_does_ends_with_the_timeout(runtime: Runtime) -> None:
    queue = JobQueue(runtime)
    job = queue.add("work", job_id="j")
    with pytest.raises(WaitTimeout, match=r"job j is pending after 0\.01 s"):
        queue.wait(job.job_id, 0.01)
    with pytest.raises(JobNotFound):
        queue.wait("none", 1)


def test_no_job_goes_into_a_file_that_is_gone(tmp_path: Path) -> None:
    folder, aside = tmp_path / "data", tmp_path / "aside"
    with JobQueue(folder / "store.db") as queue:
        queue.add("work", job_id="before")
        folder.rename(aside)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="no such database"):
                queue.add("work", job_id="refused")
        Database.open(folder / "store.db").close()
        queue.add("work", job_id="after")

    for path, job_id in ((folder, "after"), (aside, "before")):
        with JobQueue(path / "store.db") as queue:
            assert [job.job_id for job in queue.list()] == [job_id]


def test_a_store_may_be_named_by_path_and_is_closed_again(tmp_path: Path) -> None:
    with JobQueue(tmp_path / "store.db") as queue:
        queue.add("work", [1], job_id="j", priority=1, machine_type="gpu")
        job = queue.get("j")
    assert job is not None
    assert (job.data, job.priority, job.machine_type) == ([1], 1, "gpu")


def test_an_open_store_is_used_and_left_open(db: Database) -> None:
    with JobQueue(db) as queue:
        queue.add("work", job_id="j")
        with pytest.raises(JobExists):
            queue.add("work", job_id="j")
    assert jobs.get(db, "j") is not None


@pytest.mark.parametrize("end", ["complete", "fail", "cancel", "remove"])
def test_without_a_runtime_waiting_sees_every_kind_of_end(db: Database, end: str) -> None:
    queue = JobQueue(db)
    queue.add("work", job_id="j")
    claimed(db)
    ending = {
        "complete": lambda: jobs.complete(db, "j"),
        "fail": lambda: jobs.fail(db, "j", "why"),
        "cancel": lambda: jobs.cancel(db, "j"),
        "remove": lambda: jobs.remove(db, "j"),
    }[end]
    thread = threading.Thread(target=ending)
    thread.start()
    if end == "remove":
        with pytest.raises(JobNotFound):
            queue.wait("j", 10)
    else:
        assert queue.wait("j", 10).status in ("completed", "failed", "cancelled")
    thread.join()


@pytest.mark.parametrize(
    "options",
    [
        {"job_type": ""}, {"job_type": " "}, {"job_type": None}, {"job_type": 5}, {"job_id": ""}, {"job_id": 7},
        {"machine_type": ""}, {"unique_key": 1}, {"source_job_id": b"x"}, {"priority": "high"}, {"priority": "1"},
        {"priority": True}, {"priority": 1.5}, {"priority": None}, {"priority": 2**40}, {"max_attempts": 0},
        {"max_attempts": "3"}, {"delay_s": -1}, {"delay_s": "5"}, {"delay_s": float("nan")}, {"due_at": "08:00"},
        {"time_limit_s": -1}, {"time_limit_s": float("inf")}, {"backoff_s": -1}, {"backoff_s": "1m"},
    ],
)  # fmt: skip
def test_what_no_job_can_have_is_refused_by_name(db: Database, options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=f"^{name} must be a "):
        JobQueue(db).add(**{"job_type": "work", **options})
    assert jobs.find(db) == []


def test_what_a_job_may_have_is_taken(db: Database) -> None:
    options: dict[str, Any] = {"priority": -1, "delay_s": 0.5, "max_attempts": 1, "time_limit_s": 90, "backoff_s": 0}
    job = JobQueue(db).add("work", job_id=None, machine_type=None, due_at=None, **options)
    assert (job.priority, job.status, job.max_attempts, job.time_limit_s) == (-1, "scheduled", 1, 90)
    assert job.backoff_s == 0


@pytest.mark.parametrize("wanted", [{"status": "done"}, {"status": ""}, {"limit": -1}, {"limit": "2"}, {"limit": None}])
def test_a_list_that_cannot_be_is_refused(db: Database, wanted: dict[str, Any]) -> None:
    (name,) = wanted
    with pytest.raises(ValueError, match=f"^{name} must be "):
        JobQueue(db).list(**wanted)
    assert JobQueue(db).list("pending", limit=0) == []
