"""Short forms of the campaigns; `make chaos` runs the long ones."""

from __future__ import annotations

from pathlib import Path

from tests.chaos import campaign
from tests.chaos.campaign import Plan
from tests.support.postgres import own_server


def test_nothing_is_lost_and_nothing_done_twice_while_processes_are_killed_stopped_and_ended(tmp_path: Path) -> None:
    plan = Plan(jobs=120, events=500, rounds=16, seed=11, job_s=0.1, kinds={"kill": 4, "terminate": 1, "stop": 1})

    report = campaign.run(tmp_path, plan)

    assert report.faults == [], report
    assert {"SIGKILL", "SIGTERM", "SIGSTOP"} <= report.disturbances.keys(), report


def test_nor_while_the_database_server_crashes_as_well(tmp_path: Path) -> None:
    plan = Plan(jobs=60, events=300, rounds=6, seed=4, kinds={"kill": 2, "server": 1})

    with own_server() as server:
        report = campaign.run(tmp_path, plan, url=server.url, restart_server=server.restart)

    assert report.faults == [], report
    assert report.disturbances["server restarts"]
