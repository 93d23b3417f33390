"""Decisions about a system's machines: order, back-off, limits, stop."""

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
    supervision = Supervision([member("a"), member("b", "a"), member("c", "b")])
    supervision.begin()
    return supervision


def startable(supervision: Supervision, now_s: float = 0.0) -> list[str]:
    return [machine.name for machine in supervision.take_startable(now_s)]


def bring_up(supervision: Supervision, now_s: float = 0.0) -> None:
    while names := startable(supervision, now_s):
        for name in names:
            supervision.running(name)


def test_each_machine_waits_for_those_it_depends_on() -> None:
    supervision = chain()

    assert startable(supervision) == ["a"]
    assert startable(supervision) == []
    supervision.running("a")
    assert startable(supervision) == ["b"]
    assert not supervision.ready


def test_all_that_run_are_ready() -> None:
    supervision = chain()
    bring_up(supervision)

    assert supervision.ready
    assert not supervision.over


def test_a_machine_that_has_ended_well_is_ready_too() -> None:
    supervision = chain()
    startable(supervision)
    supervision.running("a")
    supervision.ended("a", "success", 0.0)

    assert startable(supervision) == ["b"]


def test_a_machine_started_by_hand_is_neither_started_nor_waited_for() -> None:
    supervision = Supervision([member("a"), member("b", auto=False)])
    supervision.begin()
    bring_up(supervision)

    assert supervision.machines["b"].phase == "off"
    assert supervision.ready
    supervision.start("b", 0.0)
    assert startable(supervision) == ["b"]


def test_restarts_wait_longer_each_time_and_end_at_the_ceiling() -> None:
    supervision = Supervision([member("a", restart=Restart(delay_s=1.0, max_delay_s=3.0, crashes=5))])
    supervision.begin()
    now_s, delays = 100.0, []
    while supervision.machines["a"].phase != "failed":
        bring_up(supervision, now_s)
        supervision.lost("a", "killed", now_s)
        due_s = supervision.next_due_s()
        if due_s is not None:
            delays.append(due_s - now_s)
            assert startable(supervision, due_s - 0.01) == []
            now_s = due_s

    assert delays == [1.0, 2.0, 3.0, 3.0]
    assert supervision.over
    assert supervision.given_up[0].error == "killed, 5 times in 60 s"
    assert supervision.machines["a"].restarts == 4


def test_old_failures_are_forgotten() -> None:
    supervision = Supervision([member("a", restart=Restart(crashes=2, within_s=60.0))])
    supervision.begin()
    for now_s in (0.0, 61.0, 122.0):
        bring_up(supervision, now_s + 0.5)
        supervision.lost("a", "killed", now_s + 0.5)

    assert supervision.machines["a"].phase == "waiting"


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
    supervision = Supervision([member("a", restart=Restart(policy=policy))])
    supervision.begin()
    bring_up(supervision)

    supervision.ended("a", outcome, 0.0)

    assert supervision.machines["a"].phase == phase


def test_a_restart_by_the_user_is_no_failure() -> None:
    supervision = Supervision([member("a", restart=Restart(crashes=1))])
    supervision.begin()
    bring_up(supervision)

    supervision.stop("a", restart=True)
    supervision.ended("a", None, 5.0)

    assert startable(supervision, 5.0) == ["a"]
    assert not supervision.machines["a"].failures


def test_a_machine_given_up_can_be_started_again() -> None:
    supervision = Supervision([member("a", restart=Restart(policy="never")), member("b", "a")])
    supervision.begin()
    startable(supervision)
    supervision.lost("a", "killed", 0.0)
    assert [machine.name for machine in supervision.blocked_by("b")] == ["a"]
    assert supervision.over

    supervision.start("a", 1.0)

    bring_up(supervision, 1.0)
    assert supervision.ready
    assert not supervision.failed


def test_a_stuck_machine_is_failed_but_stays() -> None:
    supervision = chain()
    bring_up(supervision)

    supervision.stuck("a", "no disk")

    assert [machine.name for machine in supervision.failed] == ["a"]
    assert supervision.machines["a"].phase == "running"
    assert not supervision.given_up


def test_the_system_stops_in_the_reverse_order() -> None:
    supervision = chain()
    bring_up(supervision)
    supervision.close()
    order = []
    while stopping := supervision.take_stoppable():
        order.append([machine.name for machine in stopping])
        for machine in stopping:
            supervision.ended(machine.name, None, 0.0)

    assert order == [["c"], ["b"], ["a"]]
    assert supervision.over


def test_what_waits_for_its_turn_is_not_started_once_the_system_stops() -> None:
    supervision = chain()
    startable(supervision)
    supervision.close()
    supervision.running("a")

    assert startable(supervision) == []
    assert [machine.name for machine in supervision.take_stoppable()] == ["a"]
    supervision.lost("a", "killed", 0.0)
    assert supervision.machines["a"].phase == "off"


def test_what_fails_for_no_fault_of_its_own_is_tried_again_for_ever_at_the_longest_delay_in_the_end() -> None:
    supervision = Supervision([member("a", restart=Restart(delay_s=1.0, max_delay_s=30.0, crashes=2))])
    supervision.begin()
    now_s, delays = 100.0, []
    for _ in range(2000):
        startable(supervision, now_s)
        supervision.lost("a", "the disk is full", now_s, excused=True)
        assert (due_s := supervision.next_due_s()) is not None
        delays.append(due_s - now_s)
        now_s = due_s
    assert delays[:7] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]

    bring_up(supervision, now_s)
    supervision.lost("a", "killed", now_s)
    assert supervision.next_due_s() == now_s + 1.0
    bring_up(supervision, now_s + 1.0)
    supervision.lost("a", "killed", now_s + 1.0)
    assert supervision.given_up
