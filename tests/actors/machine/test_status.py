"""A machine's public face: who waits for a state is told, also of its end."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from statemachine_engine.actors.machine.status import MachineStatus
from tests.support.until import until


@pytest.fixture
def view() -> MachineStatus:
    return MachineStatus("m", "idle")


def waiters(view: MachineStatus, count: int) -> None:
    """Wait until so many wait."""
    until(lambda: len(view._waiters) == count)


def test_the_state_it_is_in_needs_no_waiting(view: MachineStatus) -> None:
    assert view.wait_for("idle", None)


def test_waiting_ends_when_the_state_is_entered(view: MachineStatus) -> None:
    with ThreadPoolExecutor() as pool:
        found = pool.submit(view.wait_for, "busy", 10)
        waiters(view, 1)
        view.enter("busy")
        assert found.result(30)


def test_a_state_passed_through_counts(view: MachineStatus) -> None:
    with ThreadPoolExecutor() as pool:
        found = [pool.submit(view.wait_for, state, 10) for state in ("a", "b", "c")]
        waiters(view, 3)
        for state in ("a", "b", "c", "idle"):
            view.enter(state)
        assert all(future.result(30) for future in found)


def test_after_the_timeout_it_is_false_and_nothing_is_left(view: MachineStatus) -> None:
    assert not view.wait_for("busy", 0.01)
    assert not view._waiters


def test_the_machine_s_end_ends_the_waiting(view: MachineStatus) -> None:
    with ThreadPoolExecutor() as pool:
        found = pool.submit(view.wait_for, "busy", None)
        waiters(view, 1)
        view.end("success")
        assert not found.result(30)
    assert not view.wait_for("busy", None)
    assert view.wait_for("idle", None)
    assert (view.status, view.outcome, view.ended.is_set()) == ("ended", "success", True)


def test_a_state_reached_just_before_the_end_is_reached(view: MachineStatus) -> None:
    with ThreadPoolExecutor() as pool:
        found = pool.submit(view.wait_for, "done", None)
        waiters(view, 1)
        view.enter("done")
        view.end("success")
        assert found.result(30)


def test_no_entry_is_missed_however_threads_race() -> None:
    for _ in range(300):
        view, start = MachineStatus("m", "idle"), threading.Barrier(2)
        thread = threading.Thread(target=lambda view=view, start=start: (start.wait(), view.enter("busy")))  # type: ignore[misc]
        thread.start()
        start.wait()
        assert view.wait_for("busy", 30)
        thread.join()
