"""Machines that are stopped and started again while other features are at work: jobs, schedules, retries, events."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from statemachine_engine import JobQueue, Runtime
from statemachine_engine.actors.errors import CannotResume, ConfigError
from statemachine_engine.storage import jobs, machines, mailbox, schedules, snapshots
from statemachine_engine.storage.engine.database import Database
from tests.combined.conftest import Site
from tests.support.journal import Journal
from tests.support.manual_clock import ManualClock
from tests.support.until import until


def worker(*steps: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Takes a job through these states, one after another: step0, step1, …"""
    names = [f"step{number}" for number in range(len(steps))]
    leads = zip(names, [*names[1:], "waiting"], strict=True)
    return {
        "initial_state": "waiting",
        "transitions": [
            {"from": "waiting", "to": "step0", "event": "new_job"},
            *({"from": source, "to": target, "event": "done"} for source, target in leads),
        ],
        "actions": {
            "waiting": [{"type": "check_database_queue", "job_type": "t"}],
            **dict(zip(names, steps, strict=True)),
        },
        **more,
    }


def trace(site: Site, words: str) -> list[dict[str, Any]]:
    return [{"type": "bash", "command": site.trace(words), "success": "done"}]


def queue_of(runtime: Runtime) -> JobQueue:
    return JobQueue(runtime)


# Stops


@pytest.mark.parametrize(
    ("on_restart", "repeated"), [("initial", ["one j", "two j", "three j"]), ("resume", ["two j", "three j"])]
)
def test_a_job_of_several_steps_that_a_stop_cut_off_is_done_again_from_where_the_machine_starts(
    site: Site, on_restart: str, repeated: list[str]
) -> None:
    config = worker(
        trace(site, "one {job_id}"), [site.hold("two {job_id}")], trace(site, "three {job_id}"), on_restart=on_restart
    )
    first = site.runtime(grace_s=0.0)
    first.add(config, "m")
    queue_of(first).add("t", job_id="j")
    site.until_traced("one j", "two j")
    first.stop()

    job = site.queue().get("j")
    assert job is not None
    assert (job.status, job.attempts) == ("pending", 0)

    site.unblock()
    second = site.runtime()
    second.add(config, "m")
    assert queue_of(second).wait("j", 30).attempts == 1
    assert site.traces == ["one j", "two j", *repeated]


def test_a_stop_with_patience_lets_the_step_that_runs_end_and_begins_no_other(site: Site) -> None:
    runtime = site.runtime(grace_s=30.0)
    machine = runtime.add(worker([site.hold("one {job_id}")], trace(site, "two {job_id}")), "m")
    queue = queue_of(runtime)
    queue.add("t", job_id="j")
    queue.add("t", job_id="next")
    site.until_traced("one j")

    stopping = threading.Thread(target=runtime.stop)
    stopping.start()
    until(lambda: machine.dependencies.job_holder.closed)
    site.unblock()
    stopping.join(30)

    done, waits = site.queue().get("j"), site.queue().get("next")
    assert done is not None
    assert waits is not None
    assert (waits.status, waits.attempts) == ("pending", 0)
    assert done.status == "completed" if site.traces == ["one j", "two j"] else site.traces == ["one j"]


def test_a_machine_that_loops_stops_after_the_action_that_runs(site: Site) -> None:
    more = {"type": "bash", "command": site.trace("more"), "success": "more"}
    config = {
        "initial_state": "busy",
        "on_restart": "resume",
        "transitions": [{"from": "busy", "to": "busy", "event": "more"}],
        "actions": {"busy": [more]},
    }
    runtime = site.runtime(grace_s=30.0)
    machine = runtime.add(config, "m")
    until(lambda: len(site.traces) >= 3)

    runtime.stop()

    assert (machine.status, machine.outcome) == ("ended", None)
    stopped_at = len(site.traces)
    again = site.runtime().add(config, "m")
    until(lambda: len(site.traces) > stopped_at + 1)
    assert again.state == "busy"


def test_an_event_for_a_machine_that_is_stopping_waits_in_its_mailbox_and_is_taken_once_by_the_next(site: Site) -> None:
    config = {
        "initial_state": "busy",
        "transitions": [
            {"from": "busy", "to": "idle", "event": "done"},
            {"from": "idle", "internal": True, "event": "told", "actions": trace(site, "told {event_data.payload.n}")},
        ],
        "actions": {"busy": [site.hold("at it")]},
    }
    first = site.runtime(grace_s=30.0)
    machine = first.add(config, "m")
    site.until_traced("at it")
    machine.stop()
    for n in range(2):
        machine.send("told", {"n": n})
    site.unblock()
    machine.wait(30)
    first.stop()
    assert "told 0" not in site.traces

    second = site.runtime()
    assert [event.payload["n"] for event in mailbox.unread(second.db, "m")] == [0, 1]
    second.add(config, "m")
    site.until_traced("at it", "at it", "told 0", "told 1")
    until(lambda: mailbox.unread(second.db, "m") == [])


def test_an_event_that_comes_after_a_machine_s_end_is_kept_and_ends_up_with_the_next_of_its_name(site: Site) -> None:
    config = {
        "initial_state": "a",
        "final": ["over"],
        "transitions": [{"from": "a", "to": "over", "event": "go"}],
    }
    runtime = site.runtime()
    first = runtime.add(config, "m")
    first.send("go")
    assert first.wait(30) == "success"
    first.send("go")

    assert runtime.add(config, "m").wait(30) == "success"
    assert [row.status for row in mailbox.list_(runtime.db)] == ["processed", "processed"]


# Resumed


def test_a_machine_that_resumes_in_a_wait_for_a_retry_spends_no_attempt_of_its_job(site: Site) -> None:
    flaky = {
        "type": "bash",
        "command": f"{site.trace('try {job_id}')}; [ -e {site.folder}/unblocked ]",
        "success": "done",
        "retry": {"max": 3, "delay": 60},
    }
    config = worker(trace(site, "before {job_id}"), [flaky], on_restart="resume")
    first = site.runtime(grace_s=0.0)
    journal = Journal()
    first.subscribe(journal)
    first.add(config, "m")
    queue_of(first).add("t", job_id="j", max_attempts=1)
    journal.wait_for("action_retry")
    assert site.traces == ["before j", "try j"]
    first.stop()

    site.unblock()
    second = site.runtime()
    second.add(config, "m")
    job = queue_of(second).wait("j", 30)
    assert (job.status, job.attempts) == ("completed", 1)
    assert site.traces == ["before j", "try j", "try j"]


def test_a_machine_resumes_although_the_store_is_locked_while_it_starts(sqlite_site: Site) -> None:
    site = sqlite_site
    config = worker(trace(site, "one {job_id}"), [site.hold("two {job_id}")], on_restart="resume")
    first = site.runtime(grace_s=0.0)
    first.add(config, "m")
    queue_of(first).add("t", job_id="j")
    site.until_traced("one j", "two j")
    first.stop()

    second = site.runtime()
    lock = sqlite3.connect(site.folder / "x.db", isolation_level=None, check_same_thread=False)
    site.on_close(lock.close)
    lock.execute("BEGIN IMMEDIATE")
    starting = threading.Thread(target=second.add, args=(config, "m"))
    starting.start()
    assert starting.is_alive()
    lock.execute("ROLLBACK")
    starting.join(30)

    site.unblock()
    assert queue_of(second).wait("j", 30).attempts == 1
    assert site.traces == ["one j", "two j", "two j"]


@pytest.mark.parametrize("step", ["definition", "resume", "socket"])
def test_a_start_that_failed_leaves_the_name_free_and_the_job_of_the_last_run_to_the_next_start(
    site: Site, step: str
) -> None:
    config = worker([site.hold("one {job_id}")], on_restart="resume")
    first = site.runtime(grace_s=0.0)
    first.add(config, "m")
    queue_of(first).add("t", job_id="j")
    site.until_traced("one j")
    first.stop()

    second = site.runtime(sockets=step == "socket", control_prefix=f"{site.folder}/gone/control")
    wrong = {
        "definition": ({**config, "transitions": "none"}, ConfigError),
        "resume": ({"initial_state": "other", "on_restart": "resume"}, CannotResume),
        "socket": (config, OSError),
    }
    broken, error = wrong[step]
    with pytest.raises(error):
        second.add(broken, "m")
    row = machines.get(second.db, "m")
    assert row is not None
    assert row.status != "running"

    (site.folder / "gone").mkdir()
    site.unblock()
    second.add(config, "m")
    assert queue_of(second).wait("j", 30).attempts == 1
    assert site.traces == ["one j", "one j"]


# Standby


TICK = {"tick": {"cron": "* * * * *", "job": {"type": "tick"}}}


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.usefixtures("quick_looks")
def test_a_standby_takes_over_the_schedules_and_no_firing_is_lost_or_doubled(site: Site) -> None:
    clock = ManualClock(at("2026-11-24 12:00:30"))
    config = {"initial_state": "a", "schedules": TICK}
    with Database.open(site.url, clock=clock) as db, Database.open(site.url, clock=clock) as other:
        first = site.runtime(db=db)
        first.add(config, "m")
        second = site.runtime(db=other, standby=True)
        standby = second.add(config, "m")
        assert standby.status == "standby"

        clock.now_s = at("2026-11-24 12:01:01")
        until(lambda: jobs.find(db))
        first.stop()
        standby.live.wait_for("a", 30)
        until(lambda: standby.status == "running")
        clock.now_s = at("2026-11-24 12:02:01")
        until(lambda: len(jobs.find(other)) > 1)

        (row,) = schedules.list_(other)
        assert (row.fired, row.left_out, row.next_at) == (2, 0, at("2026-11-24 12:03"))
        ids = [f"machine.tick-20261124T12{minute}00Z" for minute in ("02", "01")]
        assert [job.job_id.partition(".")[2] for job in jobs.find(other)] == [name.partition(".")[2] for name in ids]
        second.stop()


@pytest.mark.usefixtures("quick_looks")
def test_a_standby_resumes_where_the_machine_before_it_was_cut_off_with_its_job(site: Site) -> None:
    config = worker(trace(site, "one {job_id}"), [site.hold("two {job_id}")], on_restart="resume")
    first = site.runtime(grace_s=0.0)
    first.add(config, "m")
    second = site.runtime(standby=True)
    standby = second.add(config, "m")
    queue_of(first).add("t", job_id="j")
    site.until_traced("one j", "two j")
    assert standby.status == "standby"

    first.stop()
    site.unblock()
    job = queue_of(second).wait("j", 30)
    assert (job.status, job.attempts) == ("completed", 1)
    assert site.traces == ["one j", "two j", "two j"]
    assert snapshots.get(second.db, "m") is not None
