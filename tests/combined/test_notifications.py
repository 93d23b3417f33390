"""Test every notification that wakes a machine. Polling is off: without its notification, a change goes unnoticed."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from statemachine_engine import JobQueue, Runtime
from statemachine_engine.actors.concurrency.wait_board import WaitBoard
from statemachine_engine.storage import audit, jobs
from statemachine_engine.storage.engine.database import Database
from tests.combined.conftest import Site
from tests.support.manual_clock import ManualClock
from tests.support.until import until

pytestmark = pytest.mark.usefixtures("no_polling")

LISTENER = {"initial_state": "a", "transitions": [{"from": "*", "to": "told", "event": "tell"}]}


def worker(site: Site, machine_type: str | None = None, work: dict[str, Any] | None = None) -> dict[str, Any]:
    """Leaves the id of each job that it takes."""
    return {
        "initial_state": "waiting",
        "transitions": [
            {"from": "waiting", "to": "working", "event": "new_job"},
            {"from": "working", "to": "waiting", "event": "done"},
        ],
        "actions": {
            "waiting": [{"type": "check_database_queue", "job_type": "t", "machine_type": machine_type}],
            "working": [work or {"type": "bash", "command": site.trace("{job_id}"), "success": "done"}],
        },
    }


def until_parked(runtime: Runtime, topic: str, count: int = 1) -> None:
    """Wait until machines wait for this topic under `count` keys."""
    board: WaitBoard = runtime.resources.wait_board
    until(lambda: len(board.keys(topic)) >= count)


@pytest.fixture(params=["sqlite", "postgres"])
def running(request: pytest.FixtureRequest) -> tuple[Site, Callable[..., Runtime]]:
    """A site, and what starts a runtime that hears of the others: by its sockets, or by the database."""
    site: Site = request.getfixturevalue(f"{request.param}_site")
    return site, site.runtime_with_sockets if request.param == "sqlite" else site.runtime


Running = tuple[Site, Callable[..., Runtime]]


def test_a_job_that_another_process_adds_is_taken_at_once(running: Running) -> None:
    site, start = running
    runtime = start()
    runtime.add(worker(site), "m")
    until_parked(runtime, "jobs")

    JobQueue(start()).add("t", job_id="j")

    site.until_traced("j")


def test_a_job_that_is_added_while_all_others_are_taken_goes_to_the_worker_that_still_waits(site: Site) -> None:
    runtime = site.runtime()
    for name in ("m1", "m2", "m3"):
        runtime.add(worker(site, name, site.hold("{job_id}")), name)
    until_parked(runtime, "jobs", 3)

    queue = JobQueue(runtime)
    for number in range(3):
        queue.add("t", job_id=f"j{number}")

    until(lambda: sorted(site.traces) == ["j0", "j1", "j2"])
    site.unblock()


def test_many_jobs_that_come_at_once_wake_all_workers_one_after_the_other(postgres_site: Site) -> None:
    site = postgres_site
    runtime = site.runtime()
    for name in ("m1", "m2", "m3"):
        runtime.add(worker(site, name, site.hold("{job_id}")), name)
    until_parked(runtime, "jobs", 3)

    jobs.enqueue_many(site.queue().db, [jobs.NewJob("t", f"j{number}") for number in range(3)])

    until(lambda: sorted(site.traces) == ["j0", "j1", "j2"])
    site.unblock()


def test_an_event_that_an_action_sends_reaches_a_machine_of_another_process_at_once(running: Running) -> None:
    _site, start = running
    target = start().add(LISTENER, "target")
    send = {"type": "send_event", "target_machine": "target", "event_type": "tell"}

    start().add({"initial_state": "a", "actions": {"a": [send]}}, "sender")

    target.wait_for("told", 30)


def test_an_event_of_a_schedule_reaches_machines_of_this_and_of_other_processes_at_once(running: Running) -> None:
    site, start = running
    clock = ManualClock(datetime(2026, 11, 24, 12, 0, 30, tzinfo=UTC).timestamp())
    with Database.open(site.url, clock=clock) as db, Database.open(site.url, clock=clock) as other_db:
        runtime, other = start(db=db), start(db=other_db)
        target = other.add(LISTENER, "target")
        events = {name: {"cron": "* * * * *", "event": {"type": "tell", "target": name}} for name in ("target", "m")}
        machine = runtime.add({**LISTENER, "schedules": events}, "m")

        clock.advance(31)
        runtime.scheduler.look()

        machine.wait_for("told", 30)
        target.wait_for("told", 30)
        for running_one in (runtime, other):
            running_one.stop()


def test_a_job_of_a_schedule_is_taken_at_once_also_by_another_process(running: Running) -> None:
    site, start = running
    clock = ManualClock(datetime(2026, 11, 24, 12, 0, 30, tzinfo=UTC).timestamp())
    with Database.open(site.url, clock=clock) as db, Database.open(site.url, clock=clock) as other_db:
        runtime, other = start(db=db), start(db=other_db)
        other.add(worker(site), "m")
        until_parked(other, "jobs")
        job = {"type": "t", "job_id": "j"}
        runtime.add({"initial_state": "a", "schedules": {"s": {"cron": "* * * * *", "job": job}}}, "planner")

        clock.advance(31)
        runtime.scheduler.look()

        site.until_traced("j")
        for running_one in (runtime, other):
            running_one.stop()


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
def test_an_action_that_waits_for_jobs_goes_on_at_their_end(site: Site, end: str) -> None:
    config = {
        "initial_state": "waiting",
        "transitions": [
            {"from": "waiting", "to": "over", "event": "all_jobs_complete"},
        ],
        "context": {"jobs": ["j"]},
        "actions": {"waiting": [{"type": "wait_for_jobs", "tracked_jobs_key": "jobs", "timeout": 0}]},
    }
    runtime = site.runtime()
    db = site.queue().db if site.url.startswith("postgres") else runtime.db
    jobs.enqueue(db, "j", "t", max_attempts=1)
    machine = runtime.add(config, "m")
    until_parked(runtime, "done")

    ends = {
        "completed": lambda: jobs.complete(db, "j"),
        "failed": lambda: jobs.fail(db, "j", "no"),
        "cancelled": lambda: jobs.cancel(db, "j"),
    }
    ends[end]()
    if db is runtime.db:  # SQLite tells nobody by itself; on PostgreSQL the server does
        runtime.router.notify("done", ("j",), 1)

    machine.wait_for("over", 30)


def test_a_job_that_is_given_back_is_taken_at_once_by_a_worker_that_waits(site: Site) -> None:
    retry = {"type": "retry_job", "delay": 0, "success": "over"}
    giver: dict[str, Any] = {**worker(site, "giver"), "final": ["over"]}
    giver["transitions"].append({"from": "working", "to": "over", "event": "over"})
    giver["actions"]["working"] = [{"type": "bash", "command": site.trace("giver {job_id}")}, retry]
    runtime = site.runtime()
    runtime.add(giver, "giver")
    until_parked(runtime, "jobs")
    runtime.add(worker(site), "m")
    until_parked(runtime, "jobs", 2)

    JobQueue(runtime).add("t", job_id="j")

    until(lambda: site.traces and site.traces[-1] == "j")


def watcher(expected: str) -> dict[str, Any]:
    """Waits until the machine `watched` is in a state."""
    return {
        "initial_state": "waiting",
        "transitions": [{"from": "waiting", "to": "over", "event": "in_expected_state"}],
        "actions": {
            "waiting": [{"type": "check_machine_state", "target_machine": "watched", "expected_states": expected}],
        },
    }


def test_a_machine_that_waits_for_the_state_of_another_finds_it_when_it_is_notified(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = audit.write

    def slow_write(*args: Any) -> list[int]:
        time.sleep(0.2)  # a notification before the commit would already be spent
        return write(*args)

    runtime = site.runtime()
    watched = runtime.add(LISTENER, "watched")
    machine = runtime.add(watcher("told"), "m")
    until_parked(runtime, "machine")
    monkeypatch.setattr(audit, "write", slow_write)

    watched.send("tell")

    machine.wait_for("over", 30)


def test_a_machine_that_resumes_in_the_expected_state_is_noticed_at_once(site: Site) -> None:
    config = {**LISTENER, "on_restart": "resume"}
    first = site.runtime()
    watched = first.add(config, "watched")
    watched.send("tell")
    watched.wait_for("told", 30)
    first.stop()
    runtime = site.runtime()
    machine = runtime.add(watcher("told"), "m")
    until_parked(runtime, "machine")

    runtime.add(config, "watched")

    machine.wait_for("over", 30)
