"""Test the registry of machines, on every database."""

from __future__ import annotations

import pytest

from statemachine_engine.storage import audit, machines
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import MachineTaken
from tests.support.factories import acquire
from tests.support.manual_clock import ManualClock


def held_by(db: Database, name: str) -> str | None:
    row = machines.get(db, name)
    return row.incarnation if row and row.running else None


def test_an_acquired_machine_is_running(db: Database, clock: ManualClock) -> None:
    assert acquire(db, "m", control_socket="/tmp/c-m.sock", definition_hash="abc") is None

    row = machines.get(db, "m")
    assert row is not None
    assert row.running
    assert (row.pid, row.host, row.current_state, row.config_type) == (100, "here", "waiting", "worker")
    assert (row.control_socket, row.definition_hash, row.started_at) == ("/tmp/c-m.sock", "abc", clock.now())
    assert row.as_dict()["machine_name"] == "m"


def test_a_name_is_held_once(db: Database) -> None:
    acquire(db, "m")

    with pytest.raises(MachineTaken, match="pid 100 on here") as refused:
        acquire(db, "m", "run-2", pid=200)
    assert (refused.value.pid, refused.value.host) == (100, "here")
    assert held_by(db, "m") == "run-1"


def test_the_holder_may_acquire_its_name_again(db: Database) -> None:
    acquire(db, "m")

    previous = acquire(db, "m", state="busy")
    assert previous is not None
    assert previous.current_state == "waiting"


def test_a_dead_holder_on_this_host_is_followed_at_once(db: Database) -> None:
    acquire(db, "m", state="busy")

    previous = acquire(db, "m", "run-2", is_alive=lambda row: row.pid != 100)

    assert previous is not None
    assert (previous.incarnation, previous.current_state) == ("run-1", "busy")
    assert held_by(db, "m") == "run-2"


def test_a_holder_on_another_host_is_followed_when_its_lease_has_run_out(db: Database, clock: ManualClock) -> None:
    acquire(db, "m", host="there", lease_s=30, is_alive=lambda row: False)

    clock.advance(20)
    assert machines.heartbeat(db, "run-1", lease_s=30) == 1
    clock.advance(20)
    with pytest.raises(MachineTaken):
        acquire(db, "m", "run-2", is_alive=lambda row: False)
    clock.advance(10)
    acquire(db, "m", "run-2", is_alive=lambda row: False)

    assert machines.heartbeat(db, "run-1") == 0


def test_a_released_machine_keeps_its_row_but_no_pid(db: Database) -> None:
    acquire(db, "m")
    machines.release(db, "m", "run-1")

    row = machines.get(db, "m")
    assert row is not None
    assert (row.running, row.pid, row.status, row.current_state) == (False, None, "ended", "waiting")
    acquire(db, "m", "run-2")


def test_a_follower_is_not_disturbed_by_the_one_before(db: Database) -> None:
    acquire(db, "m")
    acquire(db, "m", "run-2", is_alive=lambda row: False)

    machines.release(db, "m", "run-1")
    machines.update(db, "m", "run-1", status="failed")
    audit.write(db, [audit.StateRow("m", "stale", 1.0, "run-1")])

    row = machines.get(db, "m")
    assert row is not None
    assert (row.running, row.status, row.current_state) == (True, "running", "waiting")


def test_a_failed_machine_still_holds_its_name(db: Database) -> None:
    acquire(db, "m")
    machines.update(db, "m", "run-1", status="failed")

    assert [row.status for row in machines.list_(db) if row.running] == ["failed"]
    assert machines.heartbeat(db, "run-1") == 1
    with pytest.raises(MachineTaken):
        acquire(db, "m", "run-2")


def test_one_heartbeat_covers_all_machines_of_a_run(db: Database, clock: ManualClock) -> None:
    for name in ("a", "b"):
        acquire(db, name)
    acquire(db, "c", "run-2")
    clock.advance(10)

    assert machines.heartbeat(db, "run-1", lease_s=30) == 2
    row = machines.get(db, "b")
    assert row is not None
    assert row.alive_until == clock.now() + 30


def test_machines_are_listed_by_name(db: Database) -> None:
    for name in ("b", "a", "c"):
        acquire(db, name)
    machines.release(db, "a", "run-1")

    assert [row.machine_name for row in machines.list_(db)] == ["a", "b", "c"]
    assert [row.machine_name for row in machines.list_(db) if row.running] == ["b", "c"]
    assert machines.get(db, "nowhere") is None


def test_each_incarnation_of_this_host_has_one_control_socket(db: Database) -> None:
    for name, incarnation, host, socket in (
        ("a", "one", "here", "/a"), ("b", "one", "here", "/b"), ("c", "two", "here", "/c"),
        ("d", "far", "there", "/d"), ("e", "deaf", "here", None), ("f", "gone", "here", "/f"),
    ):  # fmt: skip
        machines.acquire(
            db, name, incarnation=incarnation, pid=1, host=host, config_type=None, state="s", control_socket=socket,
            is_alive=lambda row: True,
        )  # fmt: skip
    machines.release(db, "f", "gone")

    assert machines.control_sockets(db, "here") == {"one": "/a", "two": "/c"}


def test_a_machine_without_a_control_socket_is_not_notified(db: Database) -> None:
    acquire(db, "m", control_socket="/tmp/c-m.sock", host="here")
    machines.update(db, "m", "run-2", control_socket=None)
    assert machines.control_sockets(db, "here") == {"run-1": "/tmp/c-m.sock"}

    machines.update(db, "m", "run-1", control_socket=None)

    assert machines.control_sockets(db, "here") == {}
