"""The live stream under load: many clients, some of which take nothing, while a real machine writes the audit log."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from harness import Benchmark, Figures, Row

CLIENTS, STALLED = 200, 5
RATE, SECONDS = 500, 60
QUICK_CLIENTS, QUICK_SECONDS = 40, 4
SETTLE_S = 3.0
UPGRADE = (
    "GET /ws/events HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
MACHINE = """
name: toggle
initial_state: off
states: ['off', 'on']
events: [flip]
transitions:
  - {from: 'off', to: 'on', event: flip}
  - {from: 'on', to: 'off', event: flip}
""".replace("initial_state: off", "initial_state: 'off'")


@dataclass(slots=True)
class Client:
    """One WebSocket; frames are walked through, the first event of each piece is looked at."""

    sock: socket.socket
    rest: bytes = b""
    events: int = 0
    resyncs: int = 0
    last_id: int = 0
    disorder: int = 0
    delays_s: list[float] = field(default_factory=list)


def measure(quick: bool) -> Figures:
    """Delay at the clients that read, growth of the server, and what the machine manages beside it."""
    clients, seconds = (QUICK_CLIENTS, QUICK_SECONDS) if quick else (CLIENTS, SECONDS)
    with _folder() as folder, _server(folder) as (port, pid):
        return _under_load(folder, port, pid, clients, seconds)


BENCHMARK = Benchmark(
    name="stream",
    rows=(
        Row("stream, 200 clients: delay, p50", "p50", "ms", ("loop_p50",), lower=True),
        Row("stream, 200 clients: delay, p99", "p99", "ms", ("loop_p99",), target=500, lower=True),
        Row("stream: clients that got everything once, in order", "share", "", target=1),
        Row("stream: growth of the server in a minute", "growth", "KB", target=50_000, lower=True),
        Row("stream: CPU of the server", "cpu", "ms/s", lower=True),
        Row("stream: events written meanwhile, of 500", "rate", "/s", target=0.98 * RATE),
    ),
    floor_labels={"loop_p50": "a wait of 10 ms, p50", "loop_p99": "a wait of 10 ms, p99"},
    measure=measure,
    rounds=1,
)

# Helpers


def _under_load(folder: Path, port: int, pid: int, clients: int, seconds: float) -> Figures:
    stalled = [_connect(port, stalls=True) for _ in range(STALLED)]
    reading = [Client(_connect(port)) for _ in range(clients - STALLED)]
    written = _Writer(folder, RATE)
    reader = _Reader(reading)
    waits = _Waits()
    with written, reader, waits:
        time.sleep(SETTLE_S)
        for client in reading:
            client.delays_s.clear()
        before, cpu_before, began_s, first_id = _memory_kb(pid), _cpu_s(pid), time.monotonic(), reading[0].last_id
        time.sleep(seconds)
        took_s = time.monotonic() - began_s
        after, cpu_after, last_id = _memory_kb(pid), _cpu_s(pid), reading[0].last_id
        written.stop()
        time.sleep(1.0)
    delays_s = sorted(delay for client in reading for delay in client.delays_s)
    newest = max(client.last_id for client in reading)
    whole = [client for client in reading if client.last_id == newest and not client.resyncs and not client.disorder]
    for sock in (*stalled, *(client.sock for client in reading)):
        sock.close()
    return {
        **_percentiles("", delays_s),
        **_percentiles("loop_", sorted(waits.took_s)),
        "growth": after - before,
        "share": len(whole) / len(reading),
        "cpu": 1000.0 * (cpu_after - cpu_before) / took_s,
        "rate": (last_id - first_id) / took_s,
    }


def _percentiles(prefix: str, sorted_s: list[float]) -> Figures:
    return {f"{prefix}p{part}": sorted_s[int(len(sorted_s) * part / 100)] * 1000 for part in (50, 99)}


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sm-stream-") as name:
        os.environ["STATEMACHINE_EVENT_SOCKET"] = f"{name}/events.sock"
        os.environ["STATEMACHINE_CONTROL_PREFIX"] = f"{name}/control"
        os.environ["STATEMACHINE_DB"] = f"{name}/store.db"
        Path(name, "toggle.yaml").write_text(MACHINE, encoding="utf-8")
        yield Path(name)


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[tuple[int, int]]:
    """Start the server; yield its port and process id."""
    command = [str(Path(sys.executable).with_name("statemachine-ui")), "--port", "0", "--no-websocket"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline().rstrip("/\n").rpartition(":")[2])
        _wait_until_ready(port)
        yield port, _child_of(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        process.stdout.close()


def _wait_until_ready(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.05)
    raise RuntimeError("the server does not get ready")


def _child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _connect(port: int, *, stalls: bool = False) -> socket.socket:
    sock = socket.socket()
    if stalls:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(30)
    sock.connect(("127.0.0.1", port))
    sock.sendall(UPGRADE.format(host=f"127.0.0.1:{port}").encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    if b" 101 " not in head.split(b"\r\n")[0]:
        raise RuntimeError(head.decode())
    return sock


def _memory_kb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1000


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class _Writer:
    """A machine in a process of its own, that is sent events at a steady rate; each leaves two rows."""

    def __init__(self, folder: Path, rate: float) -> None:
        self._folder, self._rate = folder, rate
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> _Writer:
        command = [sys.executable, __file__, "--write", str(self._rate)]
        self._process = subprocess.Popen(command, cwd=self._folder)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)


class _Waits(threading.Thread):
    """The delay with which a sleeping thread wakes: the cost of the machine's other work for every thread."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.took_s: list[float] = []
        self._over = threading.Event()

    def __enter__(self) -> _Waits:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join(10)

    def run(self) -> None:
        while not self._over.is_set():
            began_s = time.monotonic()
            time.sleep(0.01)
            self.took_s.append(time.monotonic() - began_s)


class _Reader(threading.Thread):
    """Reads all clients in one thread."""

    def __init__(self, clients: list[Client]) -> None:
        super().__init__(daemon=True)
        self._clients = clients
        self._over = threading.Event()

    def __enter__(self) -> _Reader:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join(10)

    def run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for client in self._clients:
                client.sock.setblocking(False)
                selector.register(client.sock, selectors.EVENT_READ, client)
            while not self._over.is_set():
                for key, _ in selector.select(0.2):
                    _take(key.data, key.data.sock.recv(1 << 18))


def _take(client: Client, data: bytes) -> None:
    now_s = time.time()
    buffer = client.rest + data
    at, first = 0, True
    while (frame := _frame(buffer, at)) is not None:
        start, at = frame
        text = buffer[start:at]
        if first:
            first = False
            _look(client, json.loads(text), now_s)
        elif text.startswith(b'{"machine_name"'):
            client.events += 1
            number = int(text[text.rindex(b'"id":') + 5 :].partition(b",")[0])
            client.disorder += number != client.last_id + 1
            client.last_id = number
        elif b'"resync"' in text:
            client.resyncs += 1
    client.rest = buffer[at:]


def _look(client: Client, message: dict[str, Any], now_s: float) -> None:
    if message["type"] == "initial":
        client.last_id = message["last_id"]
    elif message["type"] == "resync":
        client.resyncs += 1
    elif "id" in message:
        client.events += 1
        client.disorder += message["id"] != client.last_id + 1
        client.last_id = message["id"]
        client.delays_s.append(now_s - message["timestamp"])


def _frame(buffer: bytes, at: int) -> tuple[int, int] | None:
    """Begin and end of a frame's text; None when it is not all there."""
    if len(buffer) < at + 2:
        return None
    size, start = buffer[at + 1], at + 2
    if size == 126:
        size, start = int.from_bytes(buffer[start : start + 2], "big"), start + 2
    elif size == 127:
        size, start = int.from_bytes(buffer[start : start + 8], "big"), start + 8
    return (start, start + size) if len(buffer) >= start + size else None


def _write(rate: float) -> None:
    from statemachine_engine import Runtime

    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    with Runtime() as runtime:
        machine = runtime.add("toggle.yaml")
        began_s, sent = time.monotonic(), 0
        while not over.is_set():
            machine.send("flip")
            sent += 1
            over.wait(max(0.0, began_s + sent * 2 / rate - time.monotonic()))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        _write(float(sys.argv[2]))
    else:
        print(json.dumps(measure("--quick" in sys.argv), indent=2))
