"""`statemachine-ui` and the stream's own server, as they are started from a shell."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine.web.server import REQUEST_THREADS
from statemachine_engine.web.stream.routes import MOST_STREAMS
from tests.cli.conftest import Installation
from tests.support.page import free_port
from tests.support.until import until
from tests.support.websocket import Closed, Refused, WebSocket

STOP_S = 15
MODULE = [sys.executable, "-m", "statemachine_engine.monitoring.websocket_server"]


class Server:
    """A server in a process of its own."""

    def __init__(self, place: Installation, *args: str, module: bool = False) -> None:
        self.log = place.folder / f"ui-{time.monotonic_ns()}.log"
        command = MODULE if module else [str(place.bin / "statemachine-ui")]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *args], cwd=place.folder, env=place.process_environ, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    @property
    def port(self) -> int:
        """The page's port."""
        return int(until(lambda: re.search(r"Monitor: http://.*?:(\d+)/", self.said), 20)[1])  # type: ignore[index]

    @property
    def websocket_port(self) -> int:
        return int(until(lambda: re.search(r"WebSocket: ws://.*?:(\d+)/", self.said), 20)[1])  # type: ignore[index]

    def ready(self) -> Server:
        def answers() -> bool:
            with contextlib.suppress(OSError):
                return get(self.port, "/ready")[0] == 200
            return False

        until(answers, 30)
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop the process and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(STOP_S)


@pytest.fixture
def serve(place: Installation) -> Iterator[Callable[..., Server]]:
    """Starts servers; all end with the test."""
    servers: list[Server] = []

    def start(*args: str, module: bool = False, ready: bool = True) -> Server:
        servers.append(Server(place, *args, module=module))
        return servers[-1].ready() if ready else servers[-1]

    yield start
    for server in servers:
        try:
            server.stop()
        except subprocess.TimeoutExpired:
            os.killpg(server.process.pid, signal.SIGKILL)
            raise


def get(port: int, path: str, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def listener() -> socket.socket:
    """Listen on a port and return it."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock


def test_page_api_and_stream_are_on_one_port_and_the_stream_on_the_other_too(
    serve: Callable[..., Server], place: Installation
) -> None:
    server = serve("--port", "0", "--websocket-port", "0")
    assert server.port != server.websocket_port
    assert "<title>" in get(server.port, "/")[1]
    assert json.loads(get(server.port, "/api/machines")[1]) == {"items": [], "total": 0}
    config = json.loads(get(server.port, "/api/config")[1])
    assert (config["ui_port"], config["websocket_port"]) == (server.port, server.websocket_port)
    for port in (server.port, server.websocket_port):
        for path in ("/ws", "/ws/events"):
            with WebSocket(port, path, headers={"Origin": f"http://127.0.0.1:{server.port}"}) as ws:
                assert ws.receive()["type"] == "initial"
                ws.send("ping")
                assert ws.receive() == {"type": "pong"}


def test_a_process_that_is_killed_is_replaced(serve: Callable[..., Server], place: Installation) -> None:
    server = serve("--port", "0", "--no-websocket")
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    until(place.events.exists)
    with WebSocket(server.port) as ws:
        ws.receive()
        os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
        with pytest.raises((Closed, OSError)):
            ws.receive()
    server.ready()
    with WebSocket(server.port) as ws:
        assert ws.receive()["type"] == "initial"
    until(lambda: json.loads(get(server.port, "/health")[1])["unix_socket_active"])


def test_systemd_hears_of_it_and_sigusr1_shows_what_its_threads_are_at(
    serve: Callable[..., Server], place: Installation
) -> None:
    path = f"{place.prefix}-notify"
    systemd = place.listen(path)
    systemd.settimeout(20)
    place.environ["NOTIFY_SOCKET"] = path
    server = serve("--port", "0", "--no-websocket")
    assert systemd.recv(100).startswith(b"READY=1")

    server.process.send_signal(signal.SIGUSR1)

    until(lambda: "thread sm-feed:" in server.said)
    assert server.stop() == 0


def test_what_the_command_line_sends_to_the_page_arrives(serve: Callable[..., Server], place: Installation) -> None:
    server = serve("--port", "0", "--no-websocket")
    with WebSocket(server.port) as ws:
        ws.receive()
        until(lambda: json.loads(get(server.port, "/health")[1])["unix_socket_active"])
        sent = place.db("send-event", "--target", "ui", "--type", "activity_log", "--payload", '{"message": "hi"}')
        assert "Sent to WebSocket server" in sent.output
        assert ws.receive()["payload"] == {"message": "hi"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_while_clients_follow(serve: Callable[..., Server], place: Installation, number: int) -> None:
    server = serve("--port", "0", "--websocket-port", "0")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(WebSocket(server.port)) for _ in range(20)]
        stalled = stack.enter_context(WebSocket(server.port, buffer=4096))
        for ws in clients:
            ws.receive()
        until(place.events.exists)
        began_s = time.monotonic()

        assert server.stop(number) == 0
        assert time.monotonic() - began_s < 15
        for ws in clients:
            with pytest.raises(Closed, match="1001"):
                ws.receive()
        assert stalled.receive()["type"] == "initial"
    assert not place.events.exists()
    assert "Traceback" not in server.said


def test_ctrl_c_of_a_terminal_reaches_all_its_processes_and_ends_in_order(serve: Callable[..., Server]) -> None:
    server = serve("--port", "0", "--no-websocket")
    with WebSocket(server.port) as ws:
        ws.receive()
        os.killpg(server.process.pid, signal.SIGINT)
        assert server.process.wait(STOP_S) == 0
        with pytest.raises(Closed, match="1001"):
            ws.receive()
    assert "Traceback" not in server.said


@pytest.mark.parametrize("head", ["GET /health HTTP/1.1\r\nX: ", "POST /api/jobs HTTP/1.1\r\nContent-Length: 9\r\n"])
def test_clients_that_never_end_their_requests_keep_nobody_waiting_for_long(
    head: str, serve: Callable[..., Server]
) -> None:
    server = serve("--port", "0", "--no-websocket")
    csrf = json.loads(get(server.port, "/api/config")[1])["csrf_token"]
    begun = f"{head}Host: 127.0.0.1\r\nX-CSRF-Token: {csrf}\r\n"
    begun += "\r\n" if head.startswith("POST") else ""  # its body is what does not come
    with contextlib.ExitStack() as stack:
        follower = stack.enter_context(WebSocket(server.port, headers={"Content-Length": "0"}))
        follower.receive()
        for _ in range(MOST_STREAMS + REQUEST_THREADS):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
            client.sendall(begun.encode())

        until(lambda: _answers(server, "/health"))
        follower.send("ping")
        assert follower.until("pong")
    assert "Traceback" not in server.said


@pytest.mark.parametrize("chunks", [b"zz\r\n{}\r\n0\r\n\r\n", b"-1\r\n{}\r\n", b"2\r\n{}XX0\r\n\r\n"])
def test_chunks_that_are_none_are_the_clients_mistake(chunks: bytes, serve: Callable[..., Server]) -> None:
    server = serve("--port", "0", "--no-websocket")
    csrf = json.loads(get(server.port, "/api/config")[1])["csrf_token"]
    head = f"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nX-CSRF-Token: {csrf}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), 10) as client:
        client.sendall(head.encode() + chunks)

        assert client.recv(100).startswith(b"HTTP/1.1 400 ")
    assert "Traceback" not in server.said


def test_a_taken_port_is_a_clear_error(serve: Callable[..., Server]) -> None:
    with listener() as taken:
        port = taken.getsockname()[1]
        server = serve("--port", str(port), ready=False)

        assert server.process.wait(STOP_S) == 1
    assert server.said == f"Error: port {port} on 127.0.0.1 is taken by another program; choose one with --port\n"


def test_a_taken_websocket_port_does_not_matter(serve: Callable[..., Server]) -> None:
    first = serve("--port", "0", "--websocket-port", "0")
    second = serve("--port", "0", "--websocket-port", str(first.websocket_port))
    assert f"Port {first.websocket_port} is taken by another monitor" in second.said
    with WebSocket(second.port) as ws:
        assert ws.receive()["type"] == "initial"

    with listener() as taken:
        third = serve("--port", "0", "--websocket-port", str(taken.getsockname()[1]))
    assert "is taken by another program" in third.said


def test_another_monitor_keeps_the_event_socket(serve: Callable[..., Server], place: Installation) -> None:
    first = serve("--port", "0", "--no-websocket")
    until(lambda: json.loads(get(first.port, "/health")[1])["unix_socket_active"])
    second = serve("--port", "0", "--no-websocket")
    second.stop()

    assert json.loads(get(first.port, "/health")[1])["unix_socket_active"] is True
    assert place.events.exists()


def test_beyond_loopback_a_token_is_made_up_and_printed_once(serve: Callable[..., Server]) -> None:
    server = serve("--host", "0.0.0.0", "--port", "0", "--no-websocket")
    token = re.findall(r"login\?token=(\S+)", server.said)
    assert len(token) == 1
    assert len(token[0]) >= 20
    assert get(server.port, "/api/machines")[0] == 401
    assert get(server.port, "/api/machines", Authorization=f"Bearer {token[0]}")[0] == 200
    with pytest.raises(Refused):
        WebSocket(server.port)
    assert server.said.count(token[0]) == 1


def test_a_given_token_and_read_only_are_kept(serve: Callable[..., Server]) -> None:
    server = serve("--token", "given", "--read-only", "--port", "0", "--no-websocket")
    config = json.loads(get(server.port, "/api/config", Authorization="Bearer given")[1])
    assert config["read_only"] is True
    assert get(server.port, "/api/config")[0] == 401


def test_diagrams_come_from_the_project_root(serve: Callable[..., Server], place: Installation) -> None:
    folder = place.folder / "elsewhere"
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "lamp.yaml").write_text("initial_state: a\nstates: [a]\nmetadata: {machine_name: lamp}\n")
    server = serve("--project-root", str(folder), "--port", "0", "--no-websocket")

    assert get(server.port, "/api/diagram/lamp")[0] == 200
    assert json.loads(get(server.port, "/api/config")[1])["project"] == str(folder)


def test_a_browser_is_opened_when_asked(serve: Callable[..., Server], place: Installation) -> None:
    opener = place.folder / "xdg-open"
    opener.write_text('#!/bin/sh\necho "opened $1" >> opened.log\n')
    opener.chmod(0o755)
    place.environ["PATH"] = f"{place.folder}{os.pathsep}{os.environ['PATH']}"
    server = serve("--port", "0", "--no-websocket", "--open")

    opened = place.folder / "opened.log"
    until(opened.exists)
    until(lambda: opened.read_text() == f"opened http://127.0.0.1:{server.port}/\n")


def test_a_database_that_cannot_be_had_is_waited_for(serve: Callable[..., Server], tmp_path: Path) -> None:
    blocker = tmp_path / "blocker"
    blocker.write_text("a file where a folder should be")
    server = serve("--db", str(blocker / "store.db"), "--port", "0", "--no-websocket", ready=False)
    until(lambda: "waiting:" in server.said)
    until(lambda: _answers(server, "/health"))
    assert get(server.port, "/ready")[0] == 503
    assert get(server.port, "/api/machines")[0] == 503
    blocker.unlink()
    server.ready()
    assert get(server.port, "/api/machines")[0] == 200


def _answers(server: Server, path: str) -> bool:
    with contextlib.suppress(OSError):
        return get(server.port, path)[0] == 200
    return False


@pytest.mark.parametrize("args", [["--port", "99999"], ["--port", "x"], ["--project-root", "/nowhere"], ["--odd"]])
def test_wrong_usage_is_said_in_one_line(place: Installation, args: list[str]) -> None:
    done = place.shell("statemachine-ui", *args)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_the_older_module_serves_stream_and_health(serve: Callable[..., Server]) -> None:
    server = serve("--host", "127.0.0.1", "--port", "0", module=True)
    for path in ("/ws", "/ws/events"):
        with WebSocket(server.websocket_port, path) as ws:
            assert ws.receive()["type"] == "initial"
    health: dict[str, Any] = json.loads(get(server.websocket_port, "/health")[1])
    assert health["status"] == "ok"
    assert server.stop(signal.SIGINT) == 0


def test_one_port_for_both_is_no_conflict(serve: Callable[..., Server]) -> None:
    port = str(free_port())

    server = serve("--port", port, "--websocket-port", port)

    assert get(server.port, "/health")[0] == 200
    assert "taken" not in server.said
