"""The event socket as a doorbell: taken when it is free, never from another."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from statemachine_engine.actors.audit import event_socket
from statemachine_engine.actors.audit.event_socket import EventSocket
from statemachine_engine.actors.sockets import unix_socket


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.sock"


@pytest.fixture
def bell(path: Path) -> Iterator[EventSocket]:
    made = EventSocket(str(path))
    yield made
    made.close()


def waited(bell: EventSocket, timeout_s: float = 10.0) -> float:
    """How many seconds a wait took."""
    began_s = time.monotonic()
    bell.wait(timeout_s)
    return time.monotonic() - began_s


def test_a_datagram_ends_the_wait(bell: EventSocket, path: Path) -> None:
    bell.wait(0)

    assert unix_socket.ring(path, {"type": "x"})

    assert waited(bell) < 5


def test_one_wait_takes_all_datagrams(bell: EventSocket, path: Path) -> None:
    bell.wait(0)
    for _ in range(5):
        unix_socket.ring(path, {"type": "x"})

    assert waited(bell) < 5
    assert waited(bell, 0.05) >= 0.05


def test_stop_ends_the_wait_of_another_thread(bell: EventSocket) -> None:
    thread = threading.Thread(target=bell.wait, args=(30,))
    thread.start()

    bell.stop()

    thread.join(30)
    assert not thread.is_alive()
    assert bell.stopped


@pytest.mark.leaves_sockets
def test_a_socket_that_another_reader_has_is_left_to_it(bell: EventSocket, path: Path) -> None:
    with unix_socket.bind(path) as others:
        bell.wait(0)
        assert unix_socket.ring(path, {"type": "x"})

        assert others.recv(100) == b'{"type":"x"}'
        bell.close()
        assert path.exists()


def test_a_socket_whose_reader_has_left_is_taken(
    bell: EventSocket, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_socket, "TRY_AGAIN_S", 0.0)
    others = unix_socket.bind(path)
    bell.wait(0)
    others.close()

    bell.wait(0)

    assert unix_socket.ring(path, {"type": "x"})
    assert waited(bell) < 5


@pytest.mark.leaves_sockets
def test_a_socket_that_another_has_replaced_is_not_removed_at_the_end(bell: EventSocket, path: Path) -> None:
    bell.wait(0)
    path.unlink()
    with unix_socket.bind(path):
        bell.close()

        assert unix_socket.is_listening(path)


def test_nothing_is_left_behind(bell: EventSocket, path: Path) -> None:
    bell.wait(0)
    assert path.exists()

    bell.close()

    assert not path.exists()


def test_where_no_socket_can_be_it_only_waits(tmp_path: Path) -> None:
    bell = EventSocket(str(tmp_path / "no such folder" / "events.sock"))

    assert waited(bell, 0.05) >= 0.05
    bell.close()
