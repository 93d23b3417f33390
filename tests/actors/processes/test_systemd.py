"""The messages to systemd, over a real socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from statemachine_engine.actors.processes.systemd import Systemd

#: its tests bind sockets themselves
pytestmark = pytest.mark.leaves_sockets


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket as systemd has it, and its address as $NOTIFY_SOCKET says it."""
    name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name if request.param == "path" else f"\0{name}")
        sock.settimeout(5)
        yield sock, name if request.param == "path" else f"@{name}"


def test_it_hears_that_the_service_is_ready_lives_and_stops(listener: tuple[socket.socket, str]) -> None:
    sock, address = listener
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid()), "HOME": "/"}
    systemd = Systemd(environ)

    systemd.ready("machines running: 2")
    systemd.alive("machines running: 2")
    systemd.alive("asked for too soon")
    systemd.stopping()

    said = [sock.recv(100) for _ in range(3)]
    assert said[:2] == [b"READY=1\nSTATUS=machines running: 2", b"WATCHDOG=1\nSTATUS=machines running: 2"]
    assert said[2].startswith(b"STOPPING=1\n")
    assert systemd.interval_s == 15.0
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize(
    "environ", [{}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}], ids=str
)
def test_no_sign_of_life_is_given_where_none_is_asked_for(
    environ: dict[str, str], listener: tuple[socket.socket, str]
) -> None:
    sock, address = listener
    systemd = Systemd({"NOTIFY_SOCKET": address, **environ})

    systemd.alive("still here")
    systemd.stopping()

    assert systemd.interval_s is None
    assert sock.recv(100).startswith(b"STOPPING=1")


def test_nothing_is_said_and_nothing_breaks_where_there_is_no_systemd(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Systemd({}).ready("alone")
    assert not caplog.records
    Systemd({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("alone")
    assert "systemd cannot be notified of READY=1" in caplog.text
