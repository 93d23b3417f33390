"""The thread that reads a control socket: which messages it passes on, refuses and survives."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from statemachine_engine.actors.metrics.counters import Counters
from statemachine_engine.actors.sockets import unix_socket
from statemachine_engine.actors.sockets.listener import Listener
from statemachine_engine.actors.sockets.messages import EventMessage, Notification
from tests.support.manual_clock import ManualClock
from tests.support.sockets import MALFORMED, made
from tests.support.until import until


class Post:
    """A listener, and the messages that it passes on."""

    def __init__(self, path: Path, deliver: Callable[[EventMessage], None] | None = None) -> None:
        self.events: list[EventMessage] = []
        self.notifications: list[Notification] = []
        self.path = path
        self.counters = Counters()
        self.listener = Listener(
            path, name="m", clock=ManualClock(), counters=self.counters, on_event=deliver or self.events.append,
            on_notification=self.notifications.append,
        )  # fmt: skip

    def send(self, data: bytes) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * 1024)
            sock.sendto(data, str(self.path))


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    """A listener that listens."""
    post = Post(tmp_path / "m.sock")
    post.listener.open()
    post.listener.start()
    yield post
    post.listener.stop()
    assert not listening()


def listening() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("sm-listen")]


def test_an_event_is_handed_on_with_the_time_of_its_arrival(post: Post) -> None:
    post.send(b'{"type": "x", "payload": {"a": 1}, "job_id": "j"}')
    until(lambda: post.events)
    assert post.events == [EventMessage("x", {"a": 1}, "j", None, ManualClock().now())]


def test_a_notification_is_passed_on(post: Post) -> None:
    post.send(b'{"bell": "jobs", "key": ["video", null]}')
    until(lambda: post.notifications)
    assert post.notifications == [Notification("jobs", 1, ("video", None))]


def test_events_keep_the_order_of_their_arrival(post: Post) -> None:
    for number in range(500):
        post.send(b'{"type": "x", "payload": %d}' % number)
    until(lambda: len(post.events) == 500)
    assert [event.payload for event in post.events] == list(range(500))


def test_what_is_no_message_is_refused_and_counted_and_nothing_else_happens(post: Post) -> None:
    for data in MALFORMED.values():
        post.send(data)
    post.send(b'{"type": "the_end"}')

    until(lambda: post.events)
    assert [event.type for event in post.events] == ["the_end"]
    assert not post.notifications
    assert post.listener.refused == len(MALFORMED)
    assert post.counters.take().problems == [("datagram_refused", len(MALFORMED), 0.0)]


def test_a_flood_of_them_is_one_warning_in_the_log(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        for _ in range(300):
            post.send(b"rubbish")
        until(lambda: post.listener.refused == 300)

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("m: refused a datagram of 7 bytes (1 so far): not JSON")


def test_a_delivery_that_fails_is_logged_and_the_next_one_made(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail_first(event: EventMessage) -> None:
        if event.type == "first":
            raise ValueError("no room")
        delivered.set()

    delivered = threading.Event()
    post = Post(tmp_path / "s", fail_first)
    post.listener.open()
    post.listener.start()
    post.send(b'{"type": "first"}')
    post.send(b'{"type": "second"}')

    assert delivered.wait(30)
    assert "cannot pass a datagram on" in caplog.text
    post.listener.stop()


def test_a_delivery_that_takes_long_holds_the_senders_back(tmp_path: Path) -> None:
    gate, arrived = threading.Event(), []
    post = Post(tmp_path / "s", lambda event: (gate.wait(30), arrived.append(event.payload))[1])
    post.listener.open()
    post.listener.start()

    sent = 0
    while unix_socket.send_message(post.path, {"type": "x", "payload": sent}, 0.0):
        sent += 1
    assert 0 < sent < 5000
    gate.set()
    until(lambda: len(arrived) == sent)
    assert arrived == list(range(sent))
    post.listener.stop()


def test_stop_removes_the_socket_s_file(tmp_path: Path) -> None:
    post = Post(tmp_path / "s")
    post.listener.open()
    post.listener.start()

    post.listener.stop()
    post.listener.stop()

    assert not post.path.exists()
    assert not listening()
    assert not unix_socket.send_message(post.path, {"type": "x"})


@pytest.mark.leaves_sockets
def test_stop_does_not_remove_the_socket_of_another_process(tmp_path: Path) -> None:
    post = Post(tmp_path / "s")
    post.listener.open()
    post.listener.start()
    post.path.unlink()
    with unix_socket.bind(post.path):
        post.listener.stop()
        assert unix_socket.is_listening(post.path)


def test_stop_is_safe_before_start_and_before_open(tmp_path: Path) -> None:
    post = Post(tmp_path / "s")
    post.listener.stop()
    post.listener.open()
    post.listener.stop()
    assert not post.path.exists()


def test_stop_may_come_from_the_delivery_itself(tmp_path: Path) -> None:
    post = Post(tmp_path / "s", lambda _event: post.listener.stop())
    post.listener.open()
    post.listener.start()
    post.send(b'{"type": "x"}')
    until(lambda: not listening())
    assert not post.path.exists()


def test_a_machine_that_listens_already_keeps_its_socket(post: Post) -> None:
    with pytest.raises(OSError, match="in use"):
        Post(post.path).listener.open()
    post.send(b'{"type": "x"}')
    until(lambda: post.events)


def test_the_file_of_a_dead_machine_is_replaced(tmp_path: Path) -> None:
    with made(tmp_path / "s", "dead"):
        post = Post(tmp_path / "s")
        post.listener.open()
        post.listener.start()
        post.send(b'{"type": "x"}')
        until(lambda: post.events)
        post.listener.stop()
