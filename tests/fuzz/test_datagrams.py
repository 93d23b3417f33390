"""Malformed datagrams at a machine's control socket."""

from __future__ import annotations

import random
import socket
import threading
from pathlib import Path

import pytest

from statemachine_engine.actors.metrics.counters import Counters
from statemachine_engine.actors.sockets.listener import Listener
from statemachine_engine.actors.sockets.messages import EventMessage, Notification
from statemachine_engine.storage.clock import system_clock
from tests.fuzz import hostile
from tests.fuzz.campaign import campaign

MESSAGE = {"type": "go", "payload": {"a": [1, "x"]}, "job_id": "j", "source": "s", "event_id": 7, "after": 6}
NOTIFICATION = {"bell": "jobs", "count": 1, "key": ["video", None]}
END = b'{"type": "the_end"}'


@pytest.mark.timeout(1800)
def test_each_datagram_is_a_message_or_refused_and_the_machine_goes_on(tmp_path: Path) -> None:
    taken, ended = [0], threading.Event()

    def take(message: EventMessage | Notification) -> None:
        taken[0] += 1
        if isinstance(message, EventMessage) and message.type == "the_end":
            ended.set()

    listener = Listener(
        tmp_path / "m.sock", name="m", clock=system_clock, counters=Counters(), on_event=take, on_notification=take
    )
    listener.open()
    listener.start()
    sent = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect(str(tmp_path / "m.sock"))

        def attack(rng: random.Random) -> str:
            nonlocal sent
            data = hostile.jsonish(rng, MESSAGE if rng.random() < 0.8 else NOTIFICATION)
            if rng.random() < 0.05:
                data = rng.randbytes(rng.choice([0, 1, 50, 5000, 100_000]))
            sock.send(data[:130_000])
            sent += 1
            return "sent"

        campaign("datagrams", attack, long=100_000, short=3_000)
        sock.send(END)
        assert ended.wait(20)
    assert taken[0] + listener.refused == sent + 1
    assert listener.refused > sent / 10
    assert taken[0] > sent / 10
    print(f"  of these {taken[0] - 1:,} were messages, {listener.refused:,} refused")
    listener.stop()
