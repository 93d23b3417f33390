"""Runs one machine at half of its peak for minutes and watches what grows: `python benchmarks/soak.py [--minutes 10]`.

The peak is measured first, as benchmarks/events.py does, but with somebody who reads the event socket. Then a sender in
a process of its own sends at half of that rate; each event says when it was sent, and the log action of the state that
it leads to says it again, so the delay of each is known when its line arrives at the event socket, after its commit.
One line a minute is printed; exit code 1 says that something grew, or that an event is missing.
"""

from __future__ import annotations

import argparse
import json
import socket
import sqlite3
import statistics
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from events import Rows
from processes import Host, bound, cpu_s, host, memory_kb, script, until

SHARE = 0.5
PEAK_EVENTS = 20_000
PEAK_PER_S = 100_000
WINDOW_S = 60.0

#: what may differ between the second window and the last: caches that fill, and noise
GROWTH_KB, GROWTH_FDS, GROWTH_PENDING = 4_096, 2, 2_000

CONFIG = {
    "initial_state": "a",
    "states": ["a", "b"],
    "transitions": [{"from": "a", "to": "b", "event": "go"}, {"from": "b", "to": "a", "event": "go"}],
    "actions": {state: [{"type": "log", "message": "sent {sent_s}"}] for state in ("a", "b")},
    "events": {"go": {"context_map": {"sent_s": "payload.sent_s"}}},
    "context": {"sent_s": 0},
}

#: sends argv[2] events at argv[3] a second, in slices of 10 ms
SEND = """
import json, socket, sys, time
out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
out.connect(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
count, per_s = int(sys.argv[2]), float(sys.argv[3])
began_s = time.monotonic()
for number in range(count):
    ahead_s = number / per_s - (time.monotonic() - began_s)
    if ahead_s > 0.01:
        time.sleep(ahead_s)
    payload = {"n": number, "sent_s": time.time()}
    out.send(json.dumps({"type": "go", "payload": payload, "job_id": None}).encode())
"""


@dataclass(slots=True)
class Window:
    """One minute: what was seen in it, and how things stood at its end."""

    moves: int = 0
    #: of the lines that the event socket had room for: it never holds a machine up
    delays_ms: list[float] = field(default_factory=list)
    rss_kb: float = 0.0
    descriptors: int = 0
    threads: int = 0
    pending: int = 0
    cpu_s: float = 0.0
    store_mb: float = 0.0

    def line(self, minute: int) -> str:
        """Return a line of the table."""
        p50, p99 = _percentiles(self.delays_ms)
        return (
            f"| {minute:6} | {self.moves / WINDOW_S:8,.0f} | {p50:8.1f} | {p99:8.1f} | {self.rss_kb / 1024:6.1f} "
            f"| {self.descriptors:11} | {self.threads:7} | {self.pending:7} | {self.cpu_s / WINDOW_S:5.2f} "
            f"| {self.store_mb:8,.0f} |"
        )


HEAD = """\
| minute | events/s | p50 (ms) | p99 (ms) |    MiB | descriptors | threads | pending | cores | store MB |
|-------:|---------:|---------:|---------:|-------:|------------:|--------:|--------:|------:|---------:|"""


def main() -> int:
    minutes = _options().minutes
    with host(CONFIG, "a") as running, closing(bound(running.event_socket, 1.0)) as inbox:
        time.sleep(1.5)  # the publisher looks for a reader once a second
        peak = _peak(running, inbox)
        rate = peak * SHARE
        print(f"peak {peak:,.0f} events/s; {minutes} minutes at {rate:,.0f}\n\n{HEAD}", flush=True)
        count = int(rate * minutes * WINDOW_S)
        with closing(Rows(running.db)) as rows, script(SEND, running.control(), str(count), str(rate)) as sender:
            sender.go()
            windows = [_window(running, inbox, rows, minute) for minute in range(1, minutes + 1)]
            until(lambda: _seen(rows) >= count, every_s=0.5)
    faults = _faults(windows, rows.moves, count)
    print("\n" + ("\n".join(faults) or f"{count:,} events, each in the history once; nothing grew"))
    return 1 if faults else 0


# Helpers


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=10, metavar="N", help="3 or more (10)")
    return parser.parse_args()


def _peak(running: Host, inbox: socket.socket) -> float:
    """Return the highest rate of events per second, with the event socket read as later."""
    with (
        closing(Rows(running.db)) as rows,
        script(SEND, running.control(), str(PEAK_EVENTS), str(PEAK_PER_S)) as sender,
    ):
        started_s = time.monotonic()
        sender.go()
        while _seen(rows) < PEAK_EVENTS:
            _gather(inbox, [], time.monotonic() + 0.05)
        return PEAK_EVENTS / (time.monotonic() - started_s)


def _seen(rows: Rows) -> int:
    rows.look()
    return rows.moves


def _window(running: Host, inbox: socket.socket, rows: Rows, minute: int) -> Window:
    window = Window(moves=-_seen(rows), cpu_s=-cpu_s(running.pid))
    _gather(inbox, window.delays_ms, time.monotonic() + WINDOW_S)
    _look(running, window)
    window.moves += _seen(rows)
    print(window.line(minute), flush=True)
    return window


def _gather(inbox: socket.socket, delays_ms: list[float], until_s: float) -> None:
    """Delays of the log lines that arrive until then (monotonic).

    Of events sent from now on: what came while the last window was looked at, and nobody read, waited for us.
    """
    since_s = time.time()
    while time.monotonic() < until_s:
        try:
            told = json.loads(inbox.recv(65536))
        except TimeoutError:
            continue
        message = str(told["payload"].get("message", ""))
        if message.startswith("sent ") and (sent_s := float(message[5:])) >= since_s:
            delays_ms.append((time.time() - sent_s) * 1000)


def _look(running: Host, window: Window) -> None:
    process = Path(f"/proc/{running.pid}")
    window.rss_kb = memory_kb(running.pid, "Rss")
    window.descriptors = len(list((process / "fd").iterdir()))
    window.threads = len(list((process / "task").iterdir()))
    window.cpu_s += cpu_s(running.pid)
    window.store_mb = running.db.stat().st_size / 1e6
    with closing(sqlite3.connect(running.db)) as connection:
        sql = "SELECT count(*) FROM machine_events WHERE status = 'pending'"
        window.pending = connection.execute(sql).fetchone()[0]


def _faults(windows: list[Window], moves: int, count: int) -> list[str]:
    """Return the faults: the second window is compared with the last, after one to warm up."""
    second, last = windows[1], windows[-1]
    grown = {
        "KB of memory": (last.rss_kb - second.rss_kb, GROWTH_KB),
        "descriptors": (last.descriptors - second.descriptors, GROWTH_FDS),
        "events in the queue": (last.pending - second.pending, GROWTH_PENDING),
    }
    faults = [f"{by:,.0f} more {what} (allowed: {most:,})" for what, (by, most) in grown.items() if by > most]
    if moves != count:
        faults.append(f"{moves:,} transitions of {count:,} events")
    return faults


def _percentiles(delays_ms: list[float]) -> tuple[float, float]:
    if len(delays_ms) < 2:
        return 0.0, 0.0
    cut = statistics.quantiles(delays_ms, n=100)
    return cut[49], cut[98]


if __name__ == "__main__":
    sys.exit(main())
