"""Test the public status of a machine: waits for a state end when it is entered, and when the machine ends."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from statemachine_engine.actors.machine.status import MachineStatus
from tests.support.until import until


@pytest.fixture
def machine_status() -> MachineStatus:
    return MachineStatus("m", "idle")


def waiters(machine_status: MachineStatus, count: int) -> None:
    """Wait until `count` threads wait."""
    until(lambda: len(machine_status._waiters) == count)


def test_the_state_it_is_in_needs_no_waiting(machine_status: MachineStatus) -> None:
    assert machine_status.wait_for("idle", None)


def test_waiting_ends_when_the_state_is_entered(machine_status: MachineStatus) -> None:
    with ThreadPoolExecutor() as pool:
        found = pool.submit(machine_status.wait_for, "busy", 10)
        waiters(machine_status, 1)
        machine_status.enter("busy")
        assert found.result(30)


def test_a_state_passed_through_counts(machine_status: MachineStatus) -> None:
    with ThreadPoolExecutor() as pool:
        found = [pool.submit(machine_status.wait_for, state, 10) for state in ("a", "b", "c")]
        waiters(machine_status, 3)
        for state in ("a", "b", "c", "idle"):
            machine_status.enter(state)
        assert all(future.result(30) for future in found)


def test_after_the_timeout_it_is_false_and_nothing_is_left(machine_status: MachineStatus) -> None:
    assert not machine_status.wait_for("busy", 0.01)
    assert not machine_status._waiters


def test_the_machine_s_end_ends_the_waiting(machine_status: MachineStatus) -> None:
    with ThreadPoolExecutor() as pool:
        found = pool.submit(machine_status.wait_for, "busy", None)
        waiters(machine_status, 1)
        machine_status.end("success")
        assert not found.result(30)
    assert not machine_status.wait_for("busy", None)
    assert machine_status.wait_for("idle", None)
    assert (machine_status.status, machine_status.outcome, machine_status.ended.is_set()) == ("ended", "success", True)


def test_a_state_reached_just_before_the_end_is_reached(machine_status: MachineStatus) -> None:
    with ThreadPoolExecutor() as pool:
        found = pool.submit(machine_status.wait_for, "done", None)
        waiters(machine_status, 1)
        machine_status.enter("done")
        machine_status.end("success")
        assert found.result(30)


def test_no_entry_is_missed_however_threads_race() -> None:
    for _ in range(300):
        machine_status, start = MachineStatus("m", "idle"), threading.Barrier(2)
        thread = threading.Thread(
            target=lambda machine_status=machine_status, start=start: (start.wait(), machine_status.enter("busy"))
        )  # type: ignore[misc]
        thread.start()
        start.wait()
        assert machine_status.wait_for("busy", 30)
        thread.join()
