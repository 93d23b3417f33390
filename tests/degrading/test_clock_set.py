"""The clock is set by hours, forwards and back, while machines run."""

from __future__ import annotations

import time

import pytest
import yaml

from statemachine_engine.storage import jobs, schedules
from statemachine_engine.storage.engine.database import Database
from tests.degrading.conftest import House
from tests.support.faketime import FakeClock
from tests.support.manual_clock import ManualClock
from tests.support.project import Project
from tests.support.until import until

HOUR_S = 3600.0

HOLDER = """
initial_state: waiting
transitions:
  - {from: waiting, to: holding, event: new_job}
  - {from: holding, to: waiting, event: timeout(1s)}
actions:
  waiting: [{type: check_database_queue, job_type: held}]
"""

CLOCKED = """
initial_state: idle
transitions: [{from: idle, to: idle, event: tick}]
schedules:
  often: {cron: "* * * * *", event: tick}
  work: {cron: "*/10 * * * *", job: made}
"""


class LeapingClock:
    """The real clock, shifted by a number of seconds."""

    set_by_s = 0.0

    def now(self) -> float:
        return time.time() + self.set_by_s


@pytest.mark.parametrize("by_s", [5 * HOUR_S, -5 * HOUR_S])
def test_a_job_that_is_worked_on_stays_with_its_worker_and_timeouts_keep_their_length(
    house: House, by_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    clock = LeapingClock()
    runtime = house.begin(clock=clock)
    holder = runtime.add(yaml.safe_load(HOLDER), "holder")
    jobs.enqueue(runtime.db, "ours", "held")
    holder.wait_for("holding", 30)
    began_s = time.monotonic()

    clock.set_by_s = by_s

    until(lambda: "the clock was set by" in caplog.text)
    holder.wait_for("waiting", 30)
    assert 0.9 < time.monotonic() - began_s < 20
    until(lambda: house.status(runtime.db, "ours") == "completed")
    job = jobs.get(runtime.db, "ours")
    assert job is not None
    assert job.attempts == 1
    jobs.enqueue(runtime.db, "after", "t")
    until(lambda: house.status(runtime.db, "after") == "completed")
    assert "its worker is gone" not in caplog.text
    until(lambda: house.problems() == {"clock_forwards" if by_s > 0 else "clock_back": 1})


@pytest.mark.parametrize("by_s", [5 * HOUR_S, -5 * HOUR_S])
def test_the_job_of_a_dead_worker_is_taken_back_within_its_lease(house: House, by_s: float) -> None:
    clock = ManualClock()
    runtime = house.begin(clock=clock)
    jobs.enqueue(runtime.db, "orphan", "t2")
    jobs.claim(runtime.db, owner="dead", job_type="t2", lease_s=60)

    clock.advance(by_s)
    until(lambda: _lease_is_short(runtime.db, clock))
    clock.advance(61)

    until(lambda: house.status(runtime.db, "orphan") == "pending")


def _lease_is_short(db: Database, clock: ManualClock) -> bool:
    job = jobs.get(db, "orphan")
    return job is not None and (job.lease_until or 0.0) <= clock.now() + 60


def test_schedules_neither_storm_after_a_leap_nor_stall_after_a_step_back(house: House) -> None:
    clock = ManualClock(1_800_000_000.0)  # on the minute
    runtime = house.begin(clock=clock)
    clocked = runtime.add(yaml.safe_load(CLOCKED), "clocked")
    ticks: list[object] = []
    runtime.subscribe(lambda sent: ticks.append(sent) if sent["type"] == "state_change" else None)
    often = "often@clocked"

    clock.advance(5 * HOUR_S)
    until(lambda: _next_at(runtime.db, often) == clock.now() + 60)
    until(lambda: len(ticks) == 1)
    assert [job.job_type for job in jobs.find(runtime.db)] == ["made"], "one for all that were missed"

    clock.advance(-3 * HOUR_S)
    until(lambda: _next_at(runtime.db, often) == clock.now() + 60)
    clock.advance(60)
    until(lambda: len(ticks) == 2)
    assert clocked.state == "idle"


@pytest.mark.parametrize("by_s", [5 * 3600, -5 * 3600])
def test_a_process_lives_through_a_clock_that_is_set_under_it(project: Project, by_s: int) -> None:
    clock = FakeClock(project.folder)
    project.env |= {**clock.env, "STATEMACHINE_DB": f"{project.folder}/pipeline.db"}
    (project.folder / "holder.yaml").write_text(HOLDER)
    (project.folder / "clocked.yaml").write_text(CLOCKED)
    with Database.open(project.env["STATEMACHINE_DB"]) as db:
        jobs.enqueue(db, "ours", "held")
        jobs.enqueue(db, "later", "t", delay_s=4 * HOUR_S)
        jobs.enqueue(db, "orphan", "t", priority=1)
        assert jobs.claim(db, owner="dead", job_type="t", lease_s=2)
        project.start("statemachine holder.yaml clocked.yaml worker.yaml")
        project.until_logged("holder: running")
        until(lambda: _next_at(db, "often@clocked"))
        until(lambda: _job(db, "ours").status == "processing")
        began_s = time.monotonic()

        clock.set(by_s)

        project.until_logged(f"the clock was set by {by_s:+} s")
        until(lambda: _job(db, "ours").status == "completed")
        assert time.monotonic() - began_s < 20, "its timeout of one second keeps its length"
        assert _job(db, "ours").attempts == 1
        until(lambda: _job(db, "orphan").status == "completed")
        assert _job(db, "orphan").attempts == 2
        until(lambda: 0 < (_next_at(db, "often@clocked") or 0.0) - clock.now() <= 60)
        assert _fired(db, "often@clocked") in ((1, 2) if by_s > 0 else (0, 1)), "two where a minute ends meanwhile"
        until(lambda: _job(db, "later").status == ("completed" if by_s > 0 else "scheduled"))
    assert "Traceback" not in project.log()


def _job(db: Database, job_id: str) -> jobs.Job:
    job = jobs.get(db, job_id)
    assert job is not None
    return job


def _fired(db: Database, schedule: str) -> int:
    row = schedules.get(db, schedule)
    assert row is not None
    return row.fired


def _next_at(db: Database, schedule: str) -> float | None:
    row = schedules.get(db, schedule)
    return row.next_at if row else None
