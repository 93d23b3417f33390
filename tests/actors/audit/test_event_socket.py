"""The event socket of a reader: bound when it is free, never taken from another."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from statemachine_engine.actors.audit import event_socket as event_socket_module
from statemachine_engine.actors.audit.event_socket import EventSocket
from statemachine_engine.actors.sockets import unix_socket


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.sock"


@pytest.fixture
def event_socket(path: Path) -> Iterator[EventSocket]:
    made = EventSocket(str(path))
    yield made
    made.close()


def waited(event_socket: EventSocket, timeout_s: float = 10.0) -> float:
    """Return the seconds that a wait took."""
    began_s = time.monotonic()
    event_socket.wait(timeout_s)
    return time.monotonic() - began_s


def test_a_datagram_ends_the_wait(event_socket: EventSocket, path: Path) -> None:
    event_socket.wait(0)

    assert unix_socket.send_message(path, {"type": "x"})

    assert waited(event_socket) < 5


def test_one_wait_takes_all_datagrams(event_socket: EventSocket, path: Path) -> None:
    event_socket.wait(0)
    for _ in range(5):
        unix_socket.send_message(path, {"type": "x"})

    assert waited(event_socket) < 5
    assert waited(event_socket, 0.05) >= 0.05


def test_stop_ends_the_wait_of_another_thread(event_socket: EventSocket) -> None:
    thread = threading.Thread(target=event_socket.wait, args=(30,))
    thread.start()

    event_socket.stop()

    thread.join(30)
    assert not thread.is_alive()
    assert event_socket.stopped


@pytest.mark.leaves_sockets
def test_a_socket_that_another_reader_has_is_left_to_it(event_socket: EventSocket, path: Path) -> None:
    with unix_socket.bind(path) as others:
        event_socket.wait(0)
        assert unix_socket.send_message(path, {"type": "x"})

        assert others.recv(100) == b'{"type":"x"}'
        event_socket.close()
        assert path.exists()


def test_a_socket_whose_reader_has_left_is_taken(
    event_socket: EventSocket, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_socket_module, "TRY_AGAIN_S", 0.0)
    others = unix_socket.bind(path)
    event_socket.wait(0)
    others.close()

    event_socket.wait(0)

    assert unix_socket.send_message(path, {"type": "x"})
    assert waited(event_socket) < 5


@pytest.mark.leaves_sockets
def test_a_socket_that_another_has_replaced_is_not_removed_at_the_end(event_socket: EventSocket, path: Path) -> None:
    event_socket.wait(0)
    path.unlink()
    with unix_socket.bind(path):
        event_socket.close()

        assert unix_socket.is_listening(path)


def test_nothing_is_left_behind(event_socket: EventSocket, path: Path) -> None:
    event_socket.wait(0)
    assert path.exists()

    event_socket.close()

    assert not path.exists()


def test_where_no_socket_can_be_it_only_waits(tmp_path: Path) -> None:
    event_socket = EventSocket(str(tmp_path / "no such folder" / "events.sock"))

    assert waited(event_socket, 0.05) >= 0.05
    event_socket.close()
