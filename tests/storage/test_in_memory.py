"""The store in memory: one connection, shared by all threads. Everything else is as in a file, and tested there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from statemachine_engine.storage import audit, jobs, machines, mailbox
from statemachine_engine.storage.audit import Note
from statemachine_engine.storage.engine.database import Database
from tests.support.factories import acquire, add_jobs, claimed
from tests.support.manual_clock import ManualClock


@pytest.fixture
def db(clock: ManualClock, open_db: Callable[..., Database]) -> Database:
    return open_db("sqlite:///:memory:", clock=clock)


def test_each_database_in_memory_is_its_own(db: Database, open_db: Callable[..., Database]) -> None:
    add_jobs(db, 1)

    assert jobs.find(open_db("sqlite:///:memory:")) == []
    assert db.path is None


def test_a_job_goes_from_pending_to_completed(db: Database) -> None:
    add_jobs(db, 2)
    job = claimed(db)
    jobs.complete(db, job.job_id, owner="worker", attempt=1, result={"n": 1})

    assert {job.job_id: job.status for job in jobs.find(db)} == {"job-0": "completed", "job-1": "pending"}


def test_events_machines_and_history_are_kept(db: Database) -> None:
    message = mailbox.post(db, "m", "go")
    acquire(db, "m")
    (note_id,) = audit.write(db, [Note("m", "note", {}, 1.0), audit.Mark(message.id, "processed")])

    assert [row.status for row in mailbox.list_(db)] == ["processed"]
    assert [row.machine_name for row in machines.list_(db)] == ["m"]
    assert [event.id for event in audit.since(db, 0)] == [note_id]


def test_a_transaction_that_an_exception_leaves_is_rolled_back(db: Database) -> None:
    with suppress(RuntimeError), db.write():
        jobs.enqueue(db, "j1", "work")
        raise RuntimeError

    assert jobs.find(db) == []


def test_a_read_inside_a_transaction_sees_its_changes_and_a_write_inside_a_read_commits(db: Database) -> None:
    with db.write():
        jobs.enqueue(db, "j1", "work")
        assert jobs.get(db, "j1") is not None
    with db.read():
        jobs.enqueue(db, "j2", "work")

    assert [job.job_id for job in jobs.find(db)] == ["j2", "j1"]


def test_threads_take_turns_and_each_job_is_claimed_once(db: Database) -> None:
    names = add_jobs(db, 40)

    def claim_ten(_thread: int) -> list[str]:
        return [claimed(db).job_id for _ in range(10)]

    with ThreadPoolExecutor(4) as threads:
        found = [job_id for ids in threads.map(claim_ten, range(4)) for job_id in ids]
    assert sorted(found) == sorted(names)


def test_the_change_token_differs_after_a_commit(db: Database) -> None:
    token = db.change_token()
    assert db.change_token() == token
    add_jobs(db, 1)

    assert db.change_token() != token


def test_waiting_for_a_notification_ends_when_it_is_closed(db: Database) -> None:
    waiter = threading.Thread(target=db.wait_notification, args=(60,))
    waiter.start()
    db.close()
    waiter.join(30)

    assert not waiter.is_alive()
