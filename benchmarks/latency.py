"""Measure how soon an idle machine moves.

Timed: from sending a datagram to the control socket until its `state_change`, which is published after its commit,
arrives at the event socket in the sending process. Between two events nothing happens for 20 ms.
Floor: the same way there and back through a process that answers each datagram with another.
"""

from __future__ import annotations

import json
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing

from events import LOGS, MESSAGE, MOVES
from harness import Benchmark, Figures, Row
from processes import Host, bound, host, script

IDLE_S = 0.02

ECHO = """
import socket, sys
inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
inbox.bind(sys.argv[1])
out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
out.connect(sys.argv[2])
print("ready", flush=True)
while inbox.recv(65536) != b"end":
    out.send(b"{}")
"""


def measure(quick: bool) -> Figures:
    """Measure one round."""
    count = 30 if quick else 200
    figures = _named("echo", _echo(count))
    for name, config in (("moves", MOVES), ("logs", LOGS)):
        with host(config, "a") as running:
            figures |= _named(name, _machine(running, count))
    return figures


BENCHMARK = Benchmark(
    "latency",
    (
        Row("idle latency, p50", "moves_p50", "ms", ("echo_p50",), target=2, lower=True),
        Row("idle latency, p99", "moves_p99", "ms", ("echo_p99",), lower=True),
        Row("… with a log action in each state, p50", "logs_p50", "ms", ("echo_p50",), lower=True),
        Row("… with a log action in each state, p99", "logs_p99", "ms", ("echo_p99",), lower=True),
    ),
    {"echo_p50": "datagram there and back, p50", "echo_p99": "datagram there and back, p99"},
    measure,
)


# Helpers


def _machine(running: Host, count: int) -> list[float]:
    with closing(bound(running.event_socket)) as inbox, closing(_connected(running.control())) as out:
        time.sleep(1.2)  # the publisher looks for a reader once a second
        return _times_s(count, out, lambda: _next_move(inbox))


def _echo(count: int) -> list[float]:
    with tempfile.TemporaryDirectory(prefix="smb-") as folder:
        there, back = f"{folder}/there.sock", f"{folder}/back.sock"
        with closing(bound(back)) as inbox, script(ECHO, there, back), closing(_connected(there)) as out:
            times_s = _times_s(count, out, lambda: inbox.recv(65536))
            out.send(b"end")
    return times_s


def _times_s(count: int, out: socket.socket, seen: Callable[[], object]) -> list[float]:
    times_s = []
    for number in range(count + 5):
        time.sleep(IDLE_S)
        started_s = time.perf_counter()
        out.send(MESSAGE.encode())
        seen()
        if number >= 5:  # the first ones also open connections and load code
            times_s.append(time.perf_counter() - started_s)
    return times_s


def _next_move(inbox: socket.socket) -> None:
    while json.loads(inbox.recv(65536))["type"] != "state_change":
        pass


def _named(name: str, times_s: list[float]) -> Figures:
    percentiles = statistics.quantiles(times_s, n=100)
    return {f"{name}_p50": percentiles[49] * 1000, f"{name}_p99": percentiles[98] * 1000}


def _connected(path: str) -> socket.socket:
    out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    out.connect(path)
    return out
