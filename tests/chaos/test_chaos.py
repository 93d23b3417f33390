"""Short forms of the campaigns; `make chaos` runs the long ones."""

from __future__ import annotations

from pathlib import Path

from tests.chaos import campaign
from tests.chaos.campaign import Plan


def test_nothing_is_lost_and_nothing_done_twice_while_processes_are_killed_stopped_and_ended(tmp_path: Path) -> None:
    plan = Plan(jobs=150, events=600, rounds=20, seed=2, kinds={"kill": 4, "terminate": 1, "stop": 1})

    report = campaign.run(tmp_path, plan)

    assert report.faults == [], report
