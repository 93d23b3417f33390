"""What a system's machines do next: order, back-off, ceiling, stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from statemachine_engine.actors.system.manifest import Member, Restart
from statemachine_engine.actors.system.supervision import Supervision


def member(name: str, *depends_on: str, **fields: Any) -> Member:
    return Member(name, Path("x.yaml"), depends_on=depends_on, **fields)


def chain() -> Supervision:
    """c waits for b, b for a."""
    plan = Supervision([member("a"), member("b", "a"), member("c", "b")])
    plan.begin()
    return plan


def startable(plan: Supervision, now_s: float = 0.0) -> list[str]:
    return [track.name for track in plan.take_startable(now_s)]


def bring_up(plan: Supervision, now_s: float = 0.0) -> None:
    while names := startable(plan, now_s):
        for name in names:
            plan.running(name)


def test_each_machine_waits_for_those_it_depends_on() -> None:
    plan = chain()

    assert startable(plan) == ["a"]
    assert startable(plan) == []
    plan.running("a")
    assert startable(plan) == ["b"]
    assert not plan.ready


def test_all_that_run_are_ready() -> None:
    plan = chain()
    bring_up(plan)

    assert plan.ready
    assert not plan.over


def test_a_machine_that_has_ended_well_is_ready_too() -> None:
    plan = chain()
    startable(plan)
    plan.running("a")
    plan.ended("a", "success", 0.0)

    assert startable(plan) == ["b"]


def test_a_machine_started_by_hand_is_neither_started_nor_waited_for() -> None:
    plan = Supervision([member("a"), member("b", auto=False)])
    plan.begin()
    bring_up(plan)

    assert plan.tracks["b"].phase == "off"
    assert plan.ready
    plan.start("b", 0.0)
    assert startable(plan) == ["b"]


def test_restarts_wait_longer_each_time_and_end_at_the_ceiling() -> None:
    plan = Supervision([member("a", restart=Restart(delay_s=1.0, max_delay_s=3.0, crashes=5))])
    plan.begin()
    now_s, delays = 100.0, []
    while plan.tracks["a"].phase != "failed":
        bring_up(plan, now_s)
        plan.lost("a", "killed", now_s)
        due_s = plan.next_due_s()
        if due_s is not None:
            delays.append(due_s - now_s)
            assert startable(plan, due_s - 0.01) == []
            now_s = due_s

    assert delays == [1.0, 2.0, 3.0, 3.0]
    assert plan.over
    assert plan.given_up[0].error == "killed, 5 times in 60 s"
    assert plan.tracks["a"].restarts == 4


def test_old_failures_are_forgotten() -> None:
    plan = Supervision([member("a", restart=Restart(crashes=2, within_s=60.0))])
    plan.begin()
    for now_s in (0.0, 61.0, 122.0):
        bring_up(plan, now_s + 0.5)
        plan.lost("a", "killed", now_s + 0.5)

    assert plan.tracks["a"].phase == "waiting"


@pytest.mark.parametrize(
    ("policy", "outcome", "phase"),
    [
        ("on-failure", "failure", "waiting"),
        ("on-failure", "success", "ended"),
        ("on-failure", None, "ended"),
        ("always", "success", "waiting"),
        ("never", "failure", "failed"),
        ("never", "success", "ended"),
    ],
)
def test_the_policy_says_what_an_end_leads_to(policy: Any, outcome: Any, phase: str) -> None:
    plan = Supervision([member("a", restart=Restart(policy=policy))])
    plan.begin()
    bring_up(plan)

    plan.ended("a", outcome, 0.0)

    assert plan.tracks["a"].phase == phase


def test_a_restart_by_the_user_is_no_failure() -> None:
    plan = Supervision([member("a", restart=Restart(crashes=1))])
    plan.begin()
    bring_up(plan)

    plan.stop("a", again=True)
    plan.ended("a", None, 5.0)

    assert startable(plan, 5.0) == ["a"]
    assert not plan.tracks["a"].failures


def test_a_machine_given_up_can_be_started_again() -> None:
    plan = Supervision([member("a", restart=Restart(policy="never")), member("b", "a")])
    plan.begin()
    startable(plan)
    plan.lost("a", "killed", 0.0)
    assert [track.name for track in plan.blocked_by("b")] == ["a"]
    assert plan.over

    plan.start("a", 1.0)

    bring_up(plan, 1.0)
    assert plan.ready
    assert not plan.failed


def test_a_stuck_machine_is_failed_but_stays() -> None:
    plan = chain()
    bring_up(plan)

    plan.stuck("a", "no disk")

    assert [track.name for track in plan.failed] == ["a"]
    assert plan.tracks["a"].phase == "running"
    assert not plan.given_up


def test_the_system_stops_in_the_reverse_order() -> None:
    plan = chain()
    bring_up(plan)
    plan.close()
    order = []
    while stopping := plan.take_stoppable():
        order.append([track.name for track in stopping])
        for track in stopping:
            plan.ended(track.name, None, 0.0)

    assert order == [["c"], ["b"], ["a"]]
    assert plan.over


def test_what_waits_for_its_turn_is_not_started_once_the_system_stops() -> None:
    plan = chain()
    startable(plan)
    plan.close()
    plan.running("a")

    assert startable(plan) == []
    assert [track.name for track in plan.take_stoppable()] == ["a"]
    plan.lost("a", "killed", 0.0)
    assert plan.tracks["a"].phase == "off"


def test_what_fails_for_no_fault_of_its_own_is_tried_again_for_ever_at_the_longest_delay_in_the_end() -> None:
    plan = Supervision([member("a", restart=Restart(delay_s=1.0, max_delay_s=30.0, crashes=2))])
    plan.begin()
    now_s, delays = 100.0, []
    for _ in range(2000):
        startable(plan, now_s)
        plan.lost("a", "the disk is full", now_s, excused=True)
        assert (due_s := plan.next_due_s()) is not None
        delays.append(due_s - now_s)
        now_s = due_s
    assert delays[:7] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]

    bring_up(plan, now_s)
    plan.lost("a", "killed", now_s)
    assert plan.next_due_s() == now_s + 1.0
    bring_up(plan, now_s + 1.0)
    plan.lost("a", "killed", now_s + 1.0)
    assert plan.given_up
