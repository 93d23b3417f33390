"""Jobs where features meet: unique keys with retries and schedules, cancelling with retries, ends of machines."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine import JobQueue, Runtime
from statemachine_engine.storage import jobs, schedules
from statemachine_engine.storage.engine.database import Database
from tests.combined.conftest import Site
from tests.support.journal import Journal
from tests.support.manual_clock import ManualClock
from tests.support.until import until


def worker(*work: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Works on one job after another; after an error it goes on with the next."""
    return {
        "initial_state": "waiting",
        "transitions": [
            {"from": "waiting", "to": "working", "event": "new_job"},
            {"from": "working", "to": "waiting", "event": "done"},
            {"from": "working", "to": "waiting", "event": "error"},
        ],
        "actions": {"waiting": [{"type": "check_database_queue", "job_type": "t"}], "working": list(work)},
        **more,
    }


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def status(runtime: Runtime, job_id: str) -> tuple[str, int]:
    job = JobQueue(runtime).get(job_id)
    assert job is not None
    return job.status, job.attempts


def test_a_job_that_is_tried_again_keeps_its_unique_key_until_it_is_done(site: Site) -> None:
    retry = {"type": "retry_job", "delay": 0, "reason": "again", "success": "done"}
    config = {
        "initial_state": "waiting",
        "transitions": [
            {"from": "waiting", "to": "working", "event": "new_job"},
            {"from": "working", "to": "waiting", "event": "done"},
            {"from": "working", "to": "sorry", "event": "broken"},
            {"from": "sorry", "to": "waiting", "event": "done"},
        ],
        "actions": {
            "waiting": [{"type": "check_database_queue", "job_type": "t"}],
            "working": [
                {
                    "type": "bash",
                    "command": f"{site.trace('{job_id}')}; [ -e {site.folder}/second ]",
                    "error": "broken",
                },
                {"type": "bash", "command": "true", "success": "done"},
            ],
            "sorry": [
                {"type": "bash", "command": f"touch {site.folder}/second"},
                {**site.hold("held"), "success": "held"},
                retry,
            ],
        },
    }
    runtime = site.runtime()
    runtime.add(config, "m")
    queue = JobQueue(runtime)
    queue.add("t", job_id="j", unique_key="k")
    site.until_traced("j", "held")
    assert queue.add("t", job_id="other", unique_key="k").job_id == "j"

    site.unblock()
    assert queue.wait("j", 30).attempts == 2
    assert site.traces == ["j", "held", "j"]
    assert queue.add("t", job_id="third", unique_key="k").job_id == "third"
    assert queue.wait("third", 30).attempts == 1


@pytest.mark.usefixtures("quick_looks")
def test_a_schedule_adds_no_second_job_while_a_machine_holds_the_first_and_goes_on_after_it(site: Site) -> None:
    clock = ManualClock(at("2026-11-24 12:00:30"))
    schedule = {"s": {"cron": "* * * * *", "job": {"type": "t", "job_id": "t-{time}"}, "overlap": "skip"}}
    with Database.open(site.url, clock=clock) as db:
        runtime = site.runtime(db=db)
        runtime.add(worker(site.hold("{job_id}"), schedules=schedule), "m")
        clock.now_s = at("2026-11-24 12:01:01")
        site.until_traced("t-120100")

        clock.now_s = at("2026-11-24 12:02:01")
        until(lambda: schedules.list_(db)[0].left_out == 1)
        assert [job.job_id for job in jobs.find(db)] == ["t-120100"]

        site.unblock()
        JobQueue(runtime).wait("t-120100", 30)
        clock.now_s = at("2026-11-24 12:03:01")
        site.until_traced("t-120100", "t-120300")
        assert schedules.list_(db)[0].fired == 2
        runtime.stop()


@pytest.mark.usefixtures("no_polling")
def test_a_job_that_is_cancelled_in_a_wait_for_a_retry_is_not_tried_again_and_the_next_job_is(
    postgres_site: Site,
) -> None:
    site = postgres_site
    flaky = {
        "type": "bash",
        "command": f"{site.trace('{job_id}')}; [ {{job_id}} = next ]",
        "success": "done",
        "retry": {"max": 3, "delay": 60},
    }
    runtime = site.runtime()
    journal = Journal()
    runtime.subscribe(journal)
    runtime.add(worker(flaky), "m")
    queue = JobQueue(runtime)
    queue.add("t", job_id="j")
    journal.wait_for("action_retry", job_id="j")

    jobs.cancel(site.queue().db, "j")
    queue.add("t", job_id="next")

    assert queue.wait("next", 30).status == "completed"
    assert status(runtime, "j") == ("cancelled", 1)
    assert site.traces == ["j", "next"]


@pytest.mark.parametrize(("end", "expected"), [("well", "completed"), ("badly", "failed")], ids=["success", "failure"])
def test_a_machine_that_ends_while_it_has_a_job_settles_it_as_it_ends(site: Site, end: str, expected: str) -> None:
    config = {
        "initial_state": "waiting",
        "states": ["waiting", "working", "well", "badly"],
        "final": {"well": "success", "badly": "failure"},
        "transitions": [
            {"from": "waiting", "to": "working", "event": "new_job"},
            {"from": "working", "to": end, "event": "done"},
        ],
        "actions": {
            "waiting": [{"type": "check_database_queue", "job_type": "t"}],
            "working": [{"type": "bash", "command": site.trace("{job_id}"), "success": "done"}],
        },
    }
    runtime = site.runtime()
    machine = runtime.add(config, "m")
    JobQueue(runtime).add("t", job_id="j", max_attempts=1)

    assert machine.wait(30) == {"well": "success", "badly": "failure"}[end]
    assert status(runtime, "j") == (expected, 1)
    assert site.traces == ["j"]


@pytest.mark.parametrize("end", ["well", "badly"])
def test_a_machine_whose_final_state_has_actions_settles_its_job_after_them(site: Site, end: str) -> None:
    config = {
        "initial_state": "waiting",
        "states": ["waiting", "working", "well", "badly"],
        "final": {"well": "success", "badly": "failure"},
        "transitions": [{"from": "waiting", "to": end, "event": "new_job"}],
        "actions": {
            "waiting": [{"type": "check_database_queue", "job_type": "t"}],
            end: [site.hold("{job_id}")],
        },
    }
    runtime = site.runtime()
    machine = runtime.add(config, "m")
    JobQueue(runtime).add("t", job_id="j", max_attempts=1)
    site.until_traced("j")
    assert status(runtime, "j") == ("processing", 1)

    site.unblock()
    machine.wait(30)
    assert status(runtime, "j") == ({"well": "completed", "badly": "failed"}[end], 1)


def test_machines_that_share_a_folder_of_actions_share_the_code_and_nothing_else(site: Site) -> None:
    write_counter(site.folder / "actions")
    runtime = site.runtime()
    machines = [runtime.add(worker({"type": "count", "by": by}), f"m{by}", {"count": 10 * by}) for by in (1, 2)]
    queue = JobQueue(runtime)
    for number in range(8):
        queue.wait(queue.add("t", job_id=f"j{number}").job_id, 30)

    runtime.stop()
    traces = [line.split() for line in site.traces]
    assert sorted(job for _machine, _count, _module, job in traces) == [f"j{number}" for number in range(8)]
    assert len({module for _machine, _count, module, _job in traces}) == 1
    for by, machine in zip((1, 2), machines, strict=True):
        counts = [int(count) for name, count, _module, _job in traces if name == machine.name]
        assert counts == [10 * by + by * (n + 1) for n in range(len(counts))]


def write_counter(folder: Path) -> None:
    (folder / "count_action.py").write_text(f'''
from statemachine_engine.actions import BaseAction

loaded = object()

class CountAction(BaseAction):
    def execute(self, context):
        context["count"] += self.config["by"]
        with open("{folder.parent}/traces", "a") as file:
            file.write(f"{{context['machine_name']}} {{context['count']}} {{id(loaded)}} {{context['job_id']}}\\n")
        return "done"
''')
