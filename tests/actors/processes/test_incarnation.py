"""The identity of the process that holds a machine, which differs from a later process of the same id."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from statemachine_engine.actors.processes.incarnation import new_incarnation, started_at
from statemachine_engine.actors.processes.liveness import process_lives
from statemachine_engine.storage.machines import MachineRow
from tests.support.until import until


def held(incarnation: str, host: str = socket.gethostname()) -> MachineRow:
    """Return the row of a machine held by an incarnation."""
    return MachineRow("m", "idle", 0.0, 100, None, None, host, incarnation, None, None, "running", None, None)


def named(pid: int, start: int | None, host: str = "h") -> str:
    return f"{host}/{pid}/{start}/abc"


def test_incarnations_are_never_the_same_and_name_host_and_process() -> None:
    assert len({new_incarnation() for _ in range(100)}) == 100
    assert new_incarnation().startswith(f"{socket.gethostname()}/{os.getpid()}/{started_at(os.getpid())}/")


def test_we_live() -> None:
    assert process_lives(held(new_incarnation()))


def test_a_process_that_is_gone_does_not() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        start = started_at(process.pid)
        assert start
        assert process_lives(held(named(process.pid, start)))
        process.kill()
    assert not process_lives(held(named(process.pid, start)))
    assert started_at(process.pid) is None


def test_another_process_of_the_same_id_is_not_the_holder() -> None:
    start = started_at(os.getpid())
    assert start
    assert not process_lives(held(named(os.getpid(), start - 1)))


def test_where_the_start_is_unknown_a_living_process_counts() -> None:
    assert process_lives(held(named(os.getpid(), 0)))


@pytest.mark.parametrize("incarnation", ["run-1", "a/b/c/d", "h/1/x/y"])
def test_an_incarnation_that_cannot_be_checked_counts_as_alive(incarnation: str) -> None:
    assert process_lives(held(incarnation))


def test_on_another_host_only_the_heartbeat_tells() -> None:
    assert process_lives(held(named(2**22 - 1, 5), host="elsewhere"))


def test_a_zombie_is_dead() -> None:
    process = subprocess.Popen(["true"])
    until(lambda: started_at(process.pid) is None)
    process.wait()


def test_a_program_s_name_may_be_any_bytes(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/) \xff("
    shutil.copy("/bin/sleep", odd)
    with subprocess.Popen([odd, "60"]) as process:
        assert started_at(process.pid)
        process.kill()
