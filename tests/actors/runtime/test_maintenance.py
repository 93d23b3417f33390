"""Maintenance: leases renewed in time, changes found without a notification, nothing written while nothing happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from statemachine_engine.actors.concurrency.wait_board import Key, Wait, WaitBoard
from statemachine_engine.actors.metrics.counters import Counters
from statemachine_engine.actors.metrics.outage import Outage
from statemachine_engine.actors.runtime import maintenance as maintenance_module
from statemachine_engine.actors.runtime.maintenance import HEARTBEAT_S, RESCUE_S, Maintenance
from statemachine_engine.storage import durations, jobs, machines, mailbox, problems
from statemachine_engine.storage.durations import DurationCount
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import StoreUnavailable
from tests.support.factories import acquire, add_jobs, claimed
from tests.support.manual_clock import ManualClock
from tests.support.until import until


class House:
    """A maintenance thread, and the parts of a process that it works with."""

    def __init__(self, db: Database) -> None:
        self.db, self.wait_board = db, WaitBoard()
        self.notified: list[str] = []
        self.notified_actions: list[str] = []
        self.counters = Counters()
        self.outage = Outage(self.counters, None, "the store takes nothing", str)
        self.looks = self.changes = self.progressed = 0
        self.failed: list[str] = []
        self.fails_at: str | None = None
        resources: Any = SimpleNamespace(
            db=db, incarnation="us", wait_board=self.wait_board, counters=self.counters,
            recorder=SimpleNamespace(
                outage=self.outage, store_answers=self.outage.over, moves=True,
                publish=lambda machine, type, payload: self.failed.append(payload["job_id"]),
            ),
        )  # fmt: skip
        parts: Any = SimpleNamespace(
            live=lambda: [SimpleNamespace(name="m", tell=self.tell)], notify=lambda: None,
            tell_lost_jobs=self.changed,
            enter_again=lambda machine: False, look=self.look, actors_move=True,
        )  # fmt: skip
        watchdog: Any = SimpleNamespace(look=lambda now_s: None, actors_move=True)
        quiet: Any = SimpleNamespace(look=lambda: None, enter_again=lambda machine: False)
        self.maintenance = Maintenance(resources, parts, parts, quiet, parts, quiet, watchdog, progress=self.progress)

    def progress(self) -> None:
        self.progressed += 1

    def look(self) -> None:
        """Stand in for the scheduler's look."""
        self.looks += 1
        self._fail_at("look")

    def changed(self) -> None:
        self.changes += 1

    def tell(self, _message: object) -> None:
        self._fail_at("tell")
        self.notified.append("m")

    def _fail_at(self, step: str) -> None:
        if step == self.fails_at:
            raise RuntimeError("no time")

    def park(self, name: str, topic: str, key: Key = ()) -> None:
        watch = Wait(topic, key, lambda: self.notified_actions.append(name))
        assert self.wait_board.park(watch, self.wait_board.version(topic))


@pytest.fixture
def house(db: Database) -> Iterator[House]:
    house = House(db)
    yield house
    house.maintenance.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "sm-maintenance"]


def alive_until(db: Database) -> float:
    machine = machines.get(db, "m")
    assert machine is not None
    assert machine.alive_until is not None
    return machine.alive_until


def test_a_heartbeat_is_written_every_ten_seconds(house: House, db: Database, clock: ManualClock) -> None:
    acquire(db, "m", "us")
    house.maintenance.look(0.0)
    first = alive_until(db)
    clock.advance(5)
    house.maintenance.look(HEARTBEAT_S - 0.1)
    assert alive_until(db) == first
    house.maintenance.look(HEARTBEAT_S)
    assert alive_until(db) == first + 5


def test_our_leases_are_renewed_and_those_of_others_are_not(house: House, db: Database, clock: ManualClock) -> None:
    add_jobs(db, 2)
    claimed(db, "us")
    claimed(db, "others")
    clock.advance(50)
    house.maintenance.look(0.0)
    clock.advance(20)
    house.maintenance.look(RESCUE_S)
    assert jobs.statuses(db, ["job-0", "job-1"]) == {"job-0": "processing", "job-1": "pending"}


def test_a_rescued_job_notifies_a_worker_and_a_failed_one_the_waiting_actions(
    house: House, db: Database, clock: ManualClock
) -> None:
    add_jobs(db, 2, max_attempts=1)
    claimed(db, "gone")
    jobs.enqueue(db, "again", "work")
    jobs.claim(db, job_id="again", owner="gone")
    house.park("worker", "jobs", ("other work", None))
    house.park("controller", "done", ("job-0",))
    clock.advance(61)
    house.maintenance.look(0.0)
    assert sorted(house.notified_actions) == ["controller", "worker"]
    assert house.failed == ["job-0"]
    assert jobs.statuses(db, ["job-0", "again"]) == {"job-0": "failed", "again": "pending"}


def test_a_job_that_is_lost_again_notifies_a_worker_after_its_wait(
    house: House, db: Database, clock: ManualClock
) -> None:
    jobs.enqueue(db, "j", "work", backoff_s=30)
    claimed(db, "gone", lease_s=1)
    clock.advance(2)
    jobs.rescue(db)
    claimed(db, "gone", lease_s=1)
    clock.advance(2)
    house.park("worker", "jobs", ("work", None))
    house.maintenance.look(0.0)
    clock.advance(29)
    house.maintenance.look(1.0)
    assert (house.notified_actions, house.failed) == ([], [])
    clock.advance(1)
    house.maintenance.look(2.0)
    assert house.notified_actions == ["worker"]


def test_a_job_that_falls_due_notifies_one_worker_that_can_take_it(
    house: House, db: Database, clock: ManualClock
) -> None:
    jobs.enqueue(db, "j", "video", machine_type="gpu", delay_s=30)
    for name, key in {"cpu": ("video", "cpu"), "any": ("video", None), "audio": ("audio", None)}.items():
        house.park(name, "jobs", key)
    house.maintenance.look(0.0)
    assert house.notified_actions == []
    clock.advance(31)
    house.maintenance.look(1.0)
    assert house.notified_actions == ["any"]


def test_a_worker_that_takes_any_job_is_notified_of_any_job(house: House, db: Database) -> None:
    house.park("all", "jobs")
    jobs.enqueue(db, "j", "video", machine_type="gpu")
    house.maintenance.look(0.0)
    assert house.notified_actions == ["all"]


def test_rows_without_a_datagram_are_announced_until_they_are_read(house: House, db: Database) -> None:
    house.maintenance.look(0.0)
    event = mailbox.post(db, "m", "x")
    mailbox.post(db, "somebody else", "x")
    house.maintenance.look(1.0)
    house.maintenance.look(2.0)
    assert house.notified == ["m"] * 2
    mailbox.settle(db, [event.id], "processed")
    house.maintenance.look(3.0)
    house.maintenance.look(4.0)
    assert len(house.notified) == 2


def test_how_long_actions_took_is_stored_with_the_heartbeat_and_at_the_end(house: House, db: Database) -> None:
    house.maintenance.look(0.0)
    house.counters.action_ended("worker", "bash", 0.02, failed=False)
    house.maintenance.look(HEARTBEAT_S - 0.1)
    assert durations.counts(db) == []
    house.maintenance.look(HEARTBEAT_S)
    assert durations.counts(db) == [DurationCount("worker", "bash", 3, 1, 0, 0.02)]
    house.maintenance.start()
    house.counters.action_ended("worker", "bash", 0.02, failed=True)
    house.maintenance.stop()
    assert durations.counts(db) == [DurationCount("worker", "bash", 3, 2, 1, 0.04)]


def test_what_a_locked_store_did_not_take_is_stored_later(
    tmp_path: Path, open_db: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(open_db(tmp_path / "store.db"))

    def locked(*_: object) -> None:
        raise StoreUnavailable("locked")

    for number, figures in enumerate((durations, problems), 1):
        house.counters.action_ended("worker", "bash", 0.02, failed=False)
        house.counters.add("socket_gone")
        monkeypatch.setattr(figures, "add", locked)
        house.maintenance.look(2 * number * HEARTBEAT_S)
        assert house.outage.lasts
        monkeypatch.undo()
        house.maintenance.look((2 * number + 1) * HEARTBEAT_S)
    assert [count.times for count in durations.counts(house.db)] == [2]
    assert ("socket_gone", 2, 0.0) in problems.counts(house.db)


def test_problems_are_stored_at_the_next_look_and_at_the_end(house: House, db: Database) -> None:
    house.counters.add("socket_gone")
    house.maintenance.look(0.0)
    assert problems.counts(db) == [("socket_gone", 1, 0.0)]
    house.maintenance.start()
    house.counters.add("socket_gone")
    house.maintenance.stop()
    assert problems.counts(db) == [("socket_gone", 2, 0.0)]


@pytest.mark.parametrize("db_url", ["sqlite", "postgres"], indirect=True)
@pytest.mark.parametrize("topic", ["done", "events", "machine"])
def test_a_change_by_another_process_notifies_the_waiting_actions(
    db_url: str, open_db: Callable[..., Database], topic: str
) -> None:
    house, other = House(open_db(db_url)), open_db(db_url)
    house.maintenance.look(0.0)
    house.park("watcher", topic)
    jobs.enqueue(other, "j", "work")
    mailbox.post(other, "x", "y")
    house.maintenance.look(2.0)
    assert house.notified_actions == ["watcher"]


def test_a_look_that_failed_is_repeated(house: House, db: Database) -> None:
    house.maintenance.look(0.0)
    house.park("watcher", "done")
    jobs.enqueue(db, "j", "work")
    mailbox.post(db, "m", "x")

    house.fails_at = "tell"
    house.maintenance.look(1.0)
    house.fails_at = None
    house.maintenance.look(2.0)
    assert house.notified_actions == ["watcher"]
    assert len(house.notified) == 1


@pytest.mark.parametrize("db_url", ["sqlite", "memory"], indirect=True)  # PostgreSQL's token is all its schemas'
def test_without_work_nothing_is_written_and_no_action_is_notified(
    db_url: str, open_db: Callable[..., Database]
) -> None:
    db = open_db(db_url)
    house, witness = House(db), open_db(db_url) if "memory" not in db_url else db
    house.maintenance.look(0.0)
    house.park("worker", "jobs", ("work", None))
    house.park("watcher", "events")
    token = witness.change_token()
    for second in range(1, int(HEARTBEAT_S)):
        house.maintenance.look(float(second))
    assert witness.change_token() == token
    assert (house.looks, house.changes) == (HEARTBEAT_S, 1)
    assert house.notified_actions == []


def test_a_short_lease_is_renewed_in_time_while_the_thread_sleeps(
    tmp_path: Path, open_db: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance_module, "LOOK_S", 30.0)
    house = House(open_db(tmp_path / "store.db"))
    house.maintenance.start()
    add_jobs(house.db, 1)
    first = claimed(house.db, "us", lease_s=3.0).lease_until
    house.maintenance.lease_taken(3.0)

    def renewed() -> bool:
        job = jobs.get(house.db, "job-0")
        return job is not None and job.lease_until is not None and first is not None and job.lease_until > first

    begun_s = time.monotonic()
    until(renewed)
    assert time.monotonic() - begun_s < 3.0
    house.maintenance.stop()


def test_when_no_short_lease_is_left_the_pace_is_leisurely_again(house: House, db: Database) -> None:
    add_jobs(db, 1)
    claimed(db, "us", lease_s=1.5)
    house.maintenance.lease_taken(1.5)
    house.maintenance.look(time.monotonic() + 1)
    assert house.maintenance._heartbeat.interval_s == 0.5
    jobs.complete(db, "job-0")
    house.maintenance.look(time.monotonic() + 2)
    assert house.maintenance._heartbeat.interval_s == HEARTBEAT_S
    house.maintenance.lease_taken(1.5)
    assert house.maintenance._heartbeat.interval_s == 0.5


def test_a_task_that_fails_is_logged_once_a_minute_and_runs_again(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance_module, "LOOK_S", 0.01)
    house.fails_at = "look"
    house.maintenance.start()
    until(lambda: house.looks > 2)
    assert caplog.text.count("the maintenance task 'schedules' failed") == 1


def test_a_task_that_fails_stops_no_other(house: House, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    acquire(db, "m", "us")

    def fail(*_: object) -> None:
        raise StoreUnavailable("locked")

    for module, function in ((machines, "heartbeat"), (jobs, "rescue"), (jobs, "claimable")):
        monkeypatch.setattr(module, function, fail)
    house.counters.action_ended("worker", "bash", 0.02, failed=False)
    house.counters.add("socket_gone")
    mailbox.post(db, "m", "x")
    house.park("worker", "jobs")

    house.maintenance.look(0.0)

    assert (house.looks, house.progressed, house.notified) == (1, 1, ["m"])
    assert ("socket_gone", 1, 0.0) in problems.counts(db)


def test_once_the_runtime_stops_leases_are_renewed_but_machines_are_left_alone(house: House, db: Database) -> None:
    acquire(db, "m", "us")
    before = alive_until(db)
    house.maintenance.closed = True
    house.maintenance.look(0.0)
    assert (house.looks, house.progressed) == (0, 0)
    assert alive_until(db) >= before


def test_stop_does_not_wait_for_the_next_round_and_is_safe_before_start(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    House(db).maintenance.stop()
    monkeypatch.setattr(maintenance_module, "LOOK_S", 60.0)
    maintenance = House(db).maintenance
    maintenance.start()
    maintenance.stop()
    maintenance.stop()


def test_an_event_that_nobody_reads_in_time_is_marked_as_expired(
    house: House, db: Database, clock: ManualClock
) -> None:
    mailbox.post(db, "nobody", "n", ttl_s=10)
    clock.advance(11)

    house.maintenance.look(RESCUE_S)

    assert [row.status for row in mailbox.list_(db)] == ["expired"]
