"""The event socket's writer: no reader holds it up, however it behaves."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine.actors.audit import publisher as publisher_module
from statemachine_engine.actors.audit.publisher import Publisher
from tests.support.sockets import made
from tests.support.until import until

#: its tests bind sockets themselves
pytestmark = pytest.mark.leaves_sockets


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.sock"


@pytest.fixture
def publisher(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    """Looks for its reader again at once."""
    monkeypatch.setattr(publisher_module, "LOOK_AGAIN_S", 0.0)
    publisher = Publisher(str(path))
    yield publisher
    publisher.close()


def reader(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(path))
    sock.settimeout(5)
    return sock


def note(number: int, **payload: Any) -> dict[str, Any]:
    return {"machine_name": "m", "type": "x", "event_type": "x", "payload": payload, "id": number, "timestamp": 1.5}


def test_each_envelope_is_a_datagram(publisher: Publisher, path: Path) -> None:
    with reader(path) as sock:
        publisher.publish([note(1, text="ü"), note(2)])
        assert [json.loads(sock.recv(9999)) for _ in range(2)] == [note(1, text="ü"), note(2)]
    assert publisher.dropped == 0


@pytest.mark.parametrize("kind", ["absent", "dead", "file", "folder", "stream"])
def test_without_a_reader_everything_is_dropped_and_counted(publisher: Publisher, path: Path, kind: str) -> None:
    with made(path, kind):
        publisher.publish(note(number) for number in range(20))
    assert publisher.dropped == 20


def test_a_path_too_long_for_a_socket_is_like_no_reader(tmp_path: Path) -> None:
    publisher = Publisher(str(tmp_path / ("x" * 200)))
    publisher.publish([note(1)])
    assert publisher.dropped == 1
    publisher.close()


def test_a_reader_that_comes_late_gets_what_follows(publisher: Publisher, path: Path) -> None:
    publisher.publish([note(1)])
    with reader(path) as sock:
        publisher.publish([note(2)])
        assert json.loads(sock.recv(9999)) == note(2)
    assert publisher.dropped == 1


def test_an_absent_reader_is_looked_for_once_a_second_at_most(path: Path) -> None:
    publisher = Publisher(str(path))
    publisher.publish([note(1)])
    with reader(path):
        publisher.publish([note(2)])
        assert publisher.dropped == 2
    publisher.close()


def test_a_reader_that_died_and_came_back_is_found_again(publisher: Publisher, path: Path) -> None:
    with reader(path):
        publisher.publish([note(1)])
    publisher.publish([note(2)])
    path.unlink()
    with reader(path) as sock:
        publisher.publish([note(3)])
        assert json.loads(sock.recv(9999)) == note(3)
    assert publisher.dropped == 1


def test_a_reader_that_does_not_read_holds_nothing_up(publisher: Publisher, path: Path) -> None:
    with reader(path) as sock:
        done = threading.Event()
        thread = threading.Thread(target=lambda: (publisher.publish(map(note, range(20_000))), done.set()))
        thread.start()
        assert done.wait(20)
        thread.join()
        assert 0 < publisher.dropped < 20_000

        received = 20_000 - publisher.dropped
        assert [json.loads(sock.recv(9999))["id"] for _ in range(received)] == list(range(received))
        publisher.publish([note(7)])
        assert json.loads(sock.recv(9999)) == note(7)


def test_an_envelope_too_large_for_a_datagram_is_dropped_alone(publisher: Publisher, path: Path) -> None:
    with reader(path) as sock:
        publisher.publish([note(1, text="x" * 10_000_000), note(2)])
        assert json.loads(sock.recv(9999)) == note(2)
    assert publisher.dropped == 1


@pytest.mark.parametrize("value", [float("nan"), object(), {(1, 2): 3}, "\ud800", b"bytes"])
def test_whatever_an_action_publishes_becomes_json(publisher: Publisher, path: Path, value: object) -> None:
    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    with reader(path) as sock:
        publisher.publish([note(1, value=value)])
        assert json.loads(sock.recv(9999), parse_constant=no_constant)["id"] == 1


def test_close_is_idempotent_and_safe_before_the_first_publication(path: Path) -> None:
    publisher = Publisher(str(path))
    publisher.close()
    with reader(path):
        publisher.publish([note(1)])
        publisher.close()
        publisher.close()
    until(lambda: publisher._sock is None)
