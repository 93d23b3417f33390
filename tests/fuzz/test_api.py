"""Hostile requests: paths, parameters, headers and bodies, and bytes that are not HTTP."""

from __future__ import annotations

import json
import random
import socket
import warnings
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from statemachine_engine.storage import jobs
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.web.app import create_app, monitor_of
from tests.fuzz import hostile
from tests.fuzz.campaign import campaign

BODIES = [
    (
        "/api/jobs",
        {"job_id": "a", "job_type": "t", "payload": {"a": 1}, "priority": 5, "unique_key": "k"},
    ),
    ("/api/jobs/bulk", {"action": "retry", "ids": ["a", "b"]}),
    ("/api/machines/m/events", {"type": "go", "payload": {"a": 1}, "job_id": "j"}),
    ("/api/machines/m/stop", {"process": False}),
    ("/api/jobs/a/retry", {}),
]


@pytest.mark.timeout(3600)
def test_each_request_is_answered_and_none_is_a_server_error(tmp_path: Path) -> None:
    db = Database.open(tmp_path / "x.db")
    jobs.enqueue(db, "a", "t")
    app = create_app(tmp_path / "x.db", event_socket=str(tmp_path / "e"), control_prefix=str(tmp_path / "c"))
    app.config["PROPAGATE_EXCEPTIONS"] = True
    client, csrf = app.test_client(), monitor_of(app).csrf_token
    streams = ("websocket", "websocket_events", "stream.server_sent_events")
    paths = [str(rule) for rule in app.url_map.iter_rules() if rule.endpoint not in streams]

    def attack(rng: random.Random) -> str:
        headers = {"X-CSRF-Token": csrf, "Content-Type": "application/json"}
        if rng.random() < 0.5:
            path, body = rng.choice(BODIES)
            answer = client.post(path, data=hostile.jsonish(rng, body), headers=headers)
        else:
            path = filled(rng, rng.choice(paths))
            query = "&".join(f"{name(rng)}={quoted(rng)}" for _ in range(rng.randrange(4)))
            method = rng.choice(["GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
            answer = client.open(f"{path}?{query}", method=method, headers=headers)
        assert answer.status_code < 500 or (answer.status_code, answer.request.path) == (503, "/ready"), (
            path,
            answer.status_code,
            answer.get_data()[:500],
        )
        assert b"Traceback" not in answer.get_data()
        return f"{answer.status_code // 100}xx"

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        outcomes = campaign("API requests", attack, long=20_000, short=400)
    assert {"2xx", "4xx"} <= set(outcomes)
    assert client.get("/api/jobs").status_code == 200
    monitor_of(app).close()
    db.close()


@pytest.mark.timeout(1800)
def test_bytes_that_are_not_http_end_only_their_own_connection(serve: Callable[[], int]) -> None:
    port = serve()
    request = (
        b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n"
    )

    def attack(rng: random.Random) -> str:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
            sock.sendall(hostile.broken(rng, request + b'{"job_type": "t"}'))
            sock.shutdown(socket.SHUT_WR)
            try:
                said = sock.recv(65536)
            except ConnectionResetError:
                return "cut off"
        assert b"Traceback" not in said
        assert not said.startswith((b"HTTP/1.1 500", b"HTTP/1.0 500")), said
        return said[9:12].decode() or "closed"

    campaign("broken HTTP", attack, long=2_000, short=60)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == "ok"


def filled(rng: random.Random, path: str) -> str:
    """Return the path of a rule, with hostile values for its parameters."""
    while "<" in path:
        before, _, rest = path.partition("<")
        path = before + quoted(rng) + rest.partition(">")[2]
    return path


def name(rng: random.Random) -> str:
    known = ["limit", "since", "before", "machine", "type", "status", "q", "cursor", "hours"]
    return rng.choice(known) if rng.random() < 0.8 else quoted(rng)


def quoted(rng: random.Random) -> str:
    return quote(hostile.text(rng).encode("utf-8", "replace"), safe="")
