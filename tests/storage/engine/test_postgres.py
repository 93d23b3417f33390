"""Test what only a server has: notifications, its own clock, connections that break."""

from __future__ import annotations

import builtins
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from statemachine_engine.storage import audit, jobs
from statemachine_engine.storage.audit import Note
from statemachine_engine.storage.clock import SystemClock
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import CommitInDoubt, StoreUnavailable
from statemachine_engine.storage.jobs import bulk
from tests.support.factories import add_jobs, claimed
from tests.support.manual_clock import ManualClock
from tests.support.postgres import lose_next_answer
from tests.support.until import until

Open = Callable[..., Database]


@pytest.fixture
def victim_url(postgres_url: str) -> str:
    """Return a URL of the same store with an application name, by which its connections are found."""
    return f"{postgres_url}&application_name={postgres_url[-17:]}"


def end_connections(victim: Database, other: Database) -> None:
    """End the victim's connections, as a restart of the server does."""
    theirs = "FROM pg_stat_activity WHERE application_name = ?"
    name = victim.url.rpartition("=")[2]

    def left() -> int:
        with other.read():
            return int(other.execute(f"SELECT count(*) {theirs}", (name,)).fetchone()[0])

    with other.read():
        other.execute(f"SELECT pg_terminate_backend(pid) {theirs}", (name,))
    until(lambda: left() == 0)


def notify_and_fail(db: Database) -> None:
    with db.write():
        db.notify("undone")
        raise KeyError


def hear_all(db: Database) -> None:
    while db.wait_notification(5):
        pass


def test_a_host_that_is_gone_without_a_farewell_is_given_up_after_a_minute_unless_the_url_says_otherwise(
    postgres_url: str, open_db: Open
) -> None:
    def idle_and_timeout(url: str) -> tuple[str | None, ...]:
        with open_db(url).read() as connection:
            parameters = connection.info.get_parameters()
        return parameters.get("keepalives_idle"), parameters.get("tcp_user_timeout")

    assert idle_and_timeout(postgres_url) == ("30", "60000")
    assert idle_and_timeout(f"{postgres_url}&keepalives_idle=7") == ("7", "60000")


def test_a_notification_comes_with_the_commit(postgres_url: str, open_db: Open) -> None:
    sender, receiver = open_db(postgres_url), open_db(postgres_url)
    assert receiver.wait_notification(0) == []

    with pytest.raises(KeyError):
        notify_and_fail(sender)
    with sender.write():
        add_jobs(sender, 1)
        sender.notify("jobs work")
    sender.notify("alone")

    heard = receiver.wait_notification(5)
    until(lambda: heard.extend(receiver.wait_notification(0.1)) or len(heard) == 3)
    assert heard[1:] == ["jobs work", "alone"]
    assert json.loads(heard[0])["bell"] == "jobs"  # what the verb says by itself
    assert receiver.wait_notification(0) == []


@pytest.mark.parametrize("end", ["cancel", "remove", "retry", "reset_processing", "rescue"])
def test_taking_a_job_away_or_giving_it_up_notifies_all_hosts(
    postgres_url: str, open_db: Open, clock: ManualClock, end: str
) -> None:
    sender, receiver = open_db(postgres_url, clock=clock), open_db(postgres_url)
    add_jobs(sender, 1, max_attempts=1)
    claimed(sender)
    receiver.wait_notification(0)
    clock.advance(61)
    {
        "reset_processing": lambda: jobs.reset_processing(sender, older_than_s=None),
        "rescue": lambda: jobs.rescue(sender),
    }.get(end, lambda: getattr(jobs, end)(sender, "job-0"))()

    heard: list[str] = []
    until(lambda: heard.extend(receiver.wait_notification(0.1)) or any('"done"' in text for text in heard))


def test_a_job_that_is_moved_with_many_cannot_be_claimed_meanwhile(
    postgres_url: str, open_db: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    db, other = open_db(postgres_url), open_db(postgres_url)
    add_jobs(db, 2)
    execute = db.execute
    taken: list[object] = []

    def claim_between(sql: str, params: Any = ()) -> Any:
        if sql.startswith("UPDATE jobs"):
            taken.append(jobs.claim(other, owner="another"))
        return execute(sql, params)

    monkeypatch.setattr(db, "execute", claim_between)
    assert bulk.cancel(db, bulk.Choice()) == 2
    assert taken == [None]


@pytest.mark.parametrize("added", [{"unique_key": "nightly"}, {"job_id": "a"}])
def test_a_job_is_added_when_what_was_in_its_way_goes_just_then(
    added: dict[str, str], postgres_url: str, open_db: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    db, other = open_db(postgres_url), open_db(postgres_url)
    jobs.enqueue(other, "a", "work", unique_key="nightly")
    execute = db.execute

    def remove_after(sql: str, params: Any = ()) -> Any:
        answer = execute(sql, params)
        if "INSERT INTO jobs" in sql:
            monkeypatch.undo()
            jobs.remove(other, "a")
        return answer

    monkeypatch.setattr(db, "execute", remove_after)
    new = jobs.enqueue(db, added.get("job_id"), "work", unique_key=added.get("unique_key"))
    assert [job.id for job in jobs.pending(db, "work", None, 10)] == [new.id]


def test_stores_in_one_server_do_not_hear_each_other(postgres_url: str, db_url: str, open_db: Open) -> None:
    other, receiver = open_db(db_url), open_db(postgres_url)
    receiver.wait_notification(0)

    other.notify("elsewhere")

    assert receiver.wait_notification(0.05) == []


def test_closing_ends_a_wait(postgres_url: str, open_db: Open) -> None:
    db = open_db(postgres_url)
    db.wait_notification(0)
    got: list[list[str]] = []
    waiter = threading.Thread(target=lambda: got.append(db.wait_notification(60)))
    waiter.start()

    db.close()
    waiter.join(30)
    assert got == [[]]
    assert db.wait_notification(60) == []


def test_after_the_server_went_away_the_next_use_reconnects(postgres_url: str, victim_url: str, open_db: Open) -> None:
    victim, other = open_db(victim_url), open_db(postgres_url)
    victim.wait_notification(0)
    for job_id in ("before", "after"):
        jobs.enqueue(victim, job_id, "work")
        assert jobs.get(victim, job_id) is not None
        end_connections(victim, other)

    assert len(jobs.find(victim)) == 2
    with pytest.raises(StoreUnavailable):
        hear_all(victim)
    assert victim.wait_notification(0) == []


def test_a_server_that_goes_away_within_a_transaction_undoes_it(
    postgres_url: str, victim_url: str, open_db: Open
) -> None:
    victim, other = open_db(victim_url), open_db(postgres_url)

    def half_a_transaction() -> None:
        with victim.write():
            add_jobs(victim, 2)
            end_connections(victim, other)

    with pytest.raises(StoreUnavailable):
        half_a_transaction()
    assert jobs.find(victim) == []


def test_a_server_that_goes_away_during_a_notification_makes_the_store_unavailable(
    postgres_url: str, victim_url: str, open_db: Open
) -> None:
    victim, other = open_db(victim_url), open_db(postgres_url)

    def tell_nobody() -> None:
        with victim.write():
            end_connections(victim, other)
            victim.notify("anything")

    with pytest.raises(StoreUnavailable):
        tell_nobody()


def test_an_unreachable_server_is_reported_without_its_password() -> None:
    with pytest.raises(StoreUnavailable) as refused:
        Database.open("postgresql://me:secret@127.0.0.1:1/nowhere")

    assert "postgresql://me:***@127.0.0.1:1/nowhere" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_without_psycopg_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_psycopg(name: str, *args: Any, **options: Any) -> Any:
        if name == "psycopg":
            raise ImportError("No module named 'psycopg'")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without_psycopg)
    with pytest.raises(StoreUnavailable, match=r"pip install 'statemachine-engine\[postgres\]'"):
        Database.open("postgresql://host/db")


def test_hosts_with_a_wrong_clock_go_by_the_servers(
    postgres_url: str, open_db: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = open_db(postgres_url)
    assert abs(db.now() - time.time()) < 1, "a small difference is the network's"

    monkeypatch.setattr(SystemClock, "now", lambda _self: time.time() - 3600)
    assert abs(db.now() - time.time()) > 3599
    db.agree_on_time()

    assert abs(db.now() - time.time()) < 1


def test_an_empty_schema_is_refused_where_none_is_to_be_made(postgres_url: str) -> None:
    with pytest.raises(StoreUnavailable, match="no statemachine tables"):
        Database.open(postgres_url, create=False)


def test_who_waits_for_an_answer_that_does_not_come_is_cut_off_when_the_store_is_abandoned(
    postgres_url: str, victim_url: str
) -> None:
    waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = ? AND wait_event_type = 'Lock'"

    def is_waiting() -> bool:
        with watcher.read():
            return bool(watcher.execute(waits, (postgres_url[-17:],)).fetchone()[0])

    with (
        ThreadPoolExecutor(1) as threads,
        Database.open(postgres_url) as watcher,
        Database.open(victim_url) as db,
        Database.open(postgres_url) as other,
        other.write(),
    ):
        other.lock("held")
        waiting = threads.submit(_locked, db)
        until(is_waiting)
        db.abandon()
        with pytest.raises(StoreUnavailable, match="see that the server runs"):
            waiting.result(30)
        with pytest.raises(StoreUnavailable, match="closed"), db.read():
            pass


def _locked(db: Database) -> None:
    with db.write():
        db.lock("held")


@pytest.mark.parametrize("committed", [True, False])
def test_a_commit_whose_answer_is_lost_is_in_doubt_and_is_written_tells_whether_it_was_made(
    postgres_url: str, open_db: Open, committed: bool
) -> None:
    db = open_db(postgres_url)
    audit.write(db, [Note("m", "before", {}, 1.0)])
    batch = [Note("m", "first", {}, 2.0), Note("m", "last", {}, 3.0)]
    lose_next_answer(db, committed=committed)

    with pytest.raises(CommitInDoubt) as doubt:
        audit.write(db, batch)

    assert audit.is_written(db, batch, doubt.value.note_ids) is committed
    assert len(audit.since(db, 0)) == (3 if committed else 1)


@pytest.mark.parametrize("committed", [True, False])
def test_a_claim_whose_answer_is_lost_is_held_or_pending(postgres_url: str, open_db: Open, committed: bool) -> None:
    db = open_db(postgres_url)
    add_jobs(db, 1)
    lose_next_answer(db, committed=committed)

    with pytest.raises(CommitInDoubt):
        jobs.claim(db, owner="w")

    assert jobs.held_by(db, "w") == ({"job-0": (None, 1)} if committed else {})
    assert jobs.counts(db)["pending"] == (0 if committed else 1)
