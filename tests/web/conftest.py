"""A monitor behind a real HTTP server in this process."""

from __future__ import annotations

import http.client
import json
import logging
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import WSGIRequestHandler, make_server

from statemachine_engine.storage import audit, machines
from statemachine_engine.storage.audit import Note, StateRow
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.web.app import create_app, monitor_of
from statemachine_engine.web.monitor import Monitor
from tests.support.websocket import WebSocket

RUN = "here/1/2/abc"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the server."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass(slots=True)
class Site:
    """A monitor and its database."""

    port: int
    db: Database
    monitor: Monitor
    folder: Path
    token: str | None = None
    #: sent with every request
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, path: str, method: str = "GET", body: Any = None, **headers: str | None) -> Answer:
        """Send one request. `Content_Type="…"` sets a header; None omits it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        given = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            given = {"Content-Type": "application/json", **given}
        try:
            connection.request(method, path, data, {k: v for k, v in given.items() if v is not None})
            answer = connection.getresponse()
            text = answer.read().decode()
            return Answer(answer.status, {k.title(): v for k, v in answer.getheaders()}, text)
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """Return the JSON of a request that succeeds."""
        answer = self.ask(path)
        assert answer.status == 200, answer
        return answer.json

    def post(self, path: str, body: Any = None, **headers: str | None) -> Answer:
        """Send a write request as the page does."""
        return self.ask(path, "POST", body if body is not None else {}, **{"X_CSRF_Token": self.csrf, **headers})

    @property
    def csrf(self) -> str:
        return self.monitor.csrf_token

    def follow(
        self, query: str = "", path: str = "/ws/events", *, buffer: int | None = None, **headers: str
    ) -> WebSocket:
        """Connect a WebSocket client, which has not received anything yet."""
        return WebSocket(
            self.port, path + query, headers={k.replace("_", "-"): v for k, v in headers.items()}, buffer=buffer
        )

    def happen(self, *events: tuple[str, str, dict[str, Any]]) -> list[int]:
        """Write (machine, type, payload) to the audit log, as a runtime does; the ids."""
        now_s = self.db.now()
        return audit.write(self.db, [Note(machine, type, payload, now_s) for machine, type, payload in events])

    def move(self, machine: str, source: str, target: str, event: str = "go") -> int:
        """Store a transition of a running machine."""
        now_s = self.db.now()
        payload = {"from_state": source, "to_state": target, "event_trigger": event, "timestamp": now_s}
        records = [Note(machine, "state_change", payload, now_s), StateRow(machine, target, now_s, RUN)]
        return audit.write(self.db, records)[0]

    def start(self, name: str, config: Path | None = None, *, host: str = "elsewhere", **changes: Any) -> None:
        """Enter a machine into the registry; on another host it counts as alive while its lease lasts."""
        options = {
            "incarnation": RUN, "pid": 4711, "host": host, "config_type": name, "state": "waiting",
            "control_socket": None, "is_alive": lambda row: True,
            "metadata": {"config_path": str(config) if config else None, "template": False},
        }  # fmt: skip
        machines.acquire(self.db, name, **{**options, **changes})


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Log nothing: requests are of no interest here."""


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Return a function that starts monitors, as `make_site(token="…", read_only=True)`; `below` is a path prefix."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        sockets = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sm-web-")))

        def make(*, db_url: str | None = None, ready: bool = True, below: str = "", **options: Any) -> Site:
            db = Database.open(db_url or tmp_path / "store.db")
            stack.callback(db.close)
            options = {"project_root": tmp_path, "event_socket": str(sockets / "events.sock"),
                       "control_prefix": str(sockets / "control"), **options}  # fmt: skip
            app = create_app(db.url, **options)
            mounted = DispatcherMiddleware(NotFound(), {below: app}) if below else app
            server = make_server("127.0.0.1", 0, mounted, threaded=True, request_handler=_Silent)
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="test-server")
            thread.start()
            monitor = monitor_of(app)
            monitor.feed.start()

            def close() -> None:
                monitor.close()
                server.shutdown()
                thread.join()
                server.server_close()

            stack.callback(close)
            if ready:
                assert monitor.feed.ready.wait(30)
            return Site(server.server_port, db, monitor, tmp_path)

        yield make


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A monitor on an empty SQLite database, as statemachine-ui makes it."""
    return make_site()
