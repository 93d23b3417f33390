"""A client that reconnects sees every transition once, even after a long outage of the server.

`OUTAGE_S=30 pytest tests/promises/test_stream_across_restarts.py` runs the long form; the default is short.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from pathlib import Path

from statemachine_engine import Runtime
from statemachine_engine.storage import audit
from statemachine_engine.storage.engine.database import Database
from tests.support.project import Project
from tests.support.until import until
from tests.support.websocket import Closed, Refused, WebSocket

OUTAGE_S = float(os.environ.get("OUTAGE_S", "2"))
RATE = 200
TOGGLE = """
name: toggle
initial_state: dark
states: [dark, bright]
transitions:
  - {from: dark, to: bright, event: flip}
  - {from: bright, to: dark, event: flip}
"""


class Follower(threading.Thread):
    """A client that follows the stream as the page does: it reconnects with the last id that it has seen."""

    def __init__(self, port: int) -> None:
        super().__init__(name="follower")
        self.port = port
        self.ids: list[int] = []
        self.last_id: int | None = None
        self.resyncs = 0
        self.comings = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            with contextlib.suppress(OSError, Closed, Refused):
                self.follow()
            self.over.wait(0.05)

    def follow(self) -> None:
        since = "" if self.last_id is None else f"?since={self.last_id}"
        with WebSocket(self.port, f"/ws/events{since}") as ws:
            self.comings += 1
            while not self.over.is_set():
                with contextlib.suppress(TimeoutError):
                    self.take(ws.receive(timeout_s=0.2))

    def take(self, message: dict[str, object]) -> None:
        if message["type"] == "initial":
            self.last_id = int(str(message["last_id"]))
        elif message["type"] == "resync":
            self.resyncs += 1
        elif "id" in message:
            self.last_id = int(str(message["id"]))
            if message["type"] == "state_change":
                self.ids.append(self.last_id)


def test_every_transition_is_seen_once_though_the_server_was_away(tmp_path: Path) -> None:
    project = Project(tmp_path)
    (tmp_path / "toggle.yaml").write_text(TOGGLE, encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    follower = Follower(port)
    try:
        server = project.start(f"statemachine-ui --no-websocket --port {port} --db store.db")
        follower.start()
        until(lambda: follower.comings == 1 and follower.last_id is not None)
        with Runtime(
            db=tmp_path / "store.db", control_prefix=project.env["STATEMACHINE_CONTROL_PREFIX"],
            event_socket=project.env["STATEMACHINE_EVENT_SOCKET"],
        ) as runtime:  # fmt: skip
            toggle = runtime.add(tmp_path / "toggle.yaml")
            flipper = Flipper(toggle.send)
            flipper.start()
            until(lambda: len(follower.ids) > RATE / 2)
            project.interrupt(server)
            before = flipper.count
            until(lambda: flipper.count >= before + OUTAGE_S * RATE, OUTAGE_S + 30)
            project.start(f"statemachine-ui --no-websocket --port {port} --db store.db")
            until(lambda: follower.comings == 2, 30)
            more = flipper.count
            until(lambda: flipper.count > more + RATE, 30)
            flipper.stop()
        with Database.open(tmp_path / "store.db") as db:
            written = [event.id for event in audit.since(db, 0, 1_000_000, types=["state_change"])]
        until(lambda: follower.ids[-1:] == written[-1:], 30)
    finally:
        follower.over.set()
        follower.join(30)
        project.close()

    assert len(written) >= (OUTAGE_S + 1) * RATE
    assert follower.ids == written
    assert follower.resyncs == 0


class Flipper(threading.Thread):
    """A thread that sends events at a steady rate."""

    def __init__(self, send: object) -> None:
        super().__init__(name="flipper")
        self._send = send
        self._over = threading.Event()
        self.count = 0

    def run(self) -> None:
        began_s = time.monotonic()
        while not self._over.is_set():
            self._send("flip")  # type: ignore[operator]
            self.count += 1
            self._over.wait(max(0.0, began_s + self.count / RATE - time.monotonic()))

    def stop(self) -> None:
        self._over.set()
        self.join(30)
