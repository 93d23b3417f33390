"""The checks of the store itself, on each database."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from statemachine_engine.storage import health, jobs, mailbox
from statemachine_engine.storage.engine.database import Database
from tests.support.factories import add_jobs, claimed
from tests.support.manual_clock import ManualClock


def test_a_sound_store_takes_writes_and_has_no_damage(db: Database) -> None:
    assert health.takes_writes(db) == ""
    assert health.damage(db) == []
    assert health.idle_transactions(db) == []
    assert health.server_version(db).startswith("PostgreSQL" if db.is_postgres else "SQLite")


def test_events_that_have_waited_are_counted_by_machine(db: Database, clock: ManualClock) -> None:
    for target in ("a", "a", "b"):
        mailbox.post(db, target, "go")
    mailbox.post(db, "c", "go", status="processed")
    mailbox.post(db, "d", "go", ttl_s=10)
    clock.advance(100)
    mailbox.post(db, "e", "go")

    assert [(waiting.machine, waiting.count) for waiting in health.unread(db, older_than_s=60)] == [("a", 2), ("b", 1)]


def test_jobs_are_counted_that_no_lease_or_an_old_one_holds(db: Database, clock: ManualClock) -> None:
    assert health.held(db, expired_for_s=5) == (0, 0)
    add_jobs(db, 3)
    for _ in range(3):
        claimed(db, lease_s=60)
    with db.write():
        db.execute("UPDATE jobs SET lease_until = NULL WHERE job_id = 'job-0'")

    assert health.held(db, expired_for_s=5) == (1, 0)
    clock.advance(66)
    assert health.held(db, expired_for_s=5) == (1, 2)
    jobs.rescue(db)
    assert health.held(db, expired_for_s=5) == (1, 0)


def test_a_transaction_that_idles_on_the_server_is_found(
    open_db: Callable[..., Database], postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    db, other = open_db(postgres_url), open_db(postgres_url)
    monkeypatch.setattr(health, "IDLE_S", 0.0)
    with other.write() as connection:
        connection.execute("SELECT 1")
        assert connection.info.backend_pid in [pid for pid, _ in health.idle_transactions(db)]
