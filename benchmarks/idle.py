"""Measure the cost of idle machines: memory, CPU, writes to the store.

Measured in processes of 0, 1, 100 and 1,000 machines, each read from a file of its own name, with its control socket
bound, parked in `check_database_queue`. Memory: RSS and PSS of the whole process from /proc; a machine's share is what
the process has more than one without machines, divided by their number. CPU and writes: within a window of 30
seconds without events; commits are seen as changes of SQLite's `data_version`.
Floors: the same number of pairs of idle threads with a bound socket in a bare interpreter; for CPU a bare interpreter
with one thread that wakes once a second.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import ExitStack, closing

from harness import Benchmark, Figures, Row
from jobqueue import LOG
from processes import Host, cpu_s, host, memory_kb, script, until

THREADS = """
import socket, sys, tempfile, threading
from queue import SimpleQueue
folder = tempfile.TemporaryDirectory(prefix="smb-")
for number in range(int(sys.argv[1])):
    inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    inbox.bind(f"{folder.name}/{number}.sock")
    threading.Thread(target=inbox.recv, args=(65536,), daemon=True).start()
    threading.Thread(target=SimpleQueue().get, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""

WAKING = """
import sys, threading
stop = threading.Event()
def wake():
    while not stop.wait(1.0):
        pass
threading.Thread(target=wake, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""

COUNTS, QUICK_COUNTS = (1, 100, 1_000), (1, 20)
WINDOW_S, QUICK_WINDOW_S = 30.0, 1.2

#: seconds without a write, after which all machines are idle
QUIET_S, QUICK_QUIET_S = 2.0, 0.3


def measure(quick: bool) -> Figures:
    """Measure one round: all processes at once, because they are idle."""
    counts = QUICK_COUNTS if quick else COUNTS
    with ExitStack() as stack:
        hosts = {count: stack.enter_context(host(LOG, "waiting", count=count)) for count in (0, *counts)}
        bare = {count: stack.enter_context(script(THREADS, str(count))).pid for count in (0, *counts)}
        waking = stack.enter_context(script(WAKING)).pid
        for running in hosts.values():
            _settle(running, QUICK_QUIET_S if quick else QUIET_S)
        figures = _idle(hosts, waking, QUICK_WINDOW_S if quick else WINDOW_S)
        for count in counts:
            figures |= _checkpointer(f"own_{count}", hosts[count].pid, hosts[0].pid, count)
            figures |= _checkpointer(f"bare_{count}", bare[count], bare[0], count)
    return figures


def _rows(count: int) -> tuple[Row, ...]:
    name = "1 machine" if count == 1 else f"{count:,} machines"
    own, bare = f"own_{count}", f"bare_{count}"
    limit = 200 if count == max(COUNTS) else None
    whole = (
        Row(f"{name}: RSS of the process", f"{own}_Rss", "KB", (f"{bare}_Rss",), lower=True),
        Row(f"{name}: PSS of the process", f"{own}_Pss", "KB", (f"{bare}_Pss",), lower=True),
    )
    each = (
        Row(f"{name}: RSS a machine", f"{own}_Rss_each", "KB", (f"{bare}_Rss_each",), target=limit, lower=True),
        Row(f"{name}: PSS a machine", f"{own}_Pss_each", "KB", (f"{bare}_Pss_each",), target=limit, lower=True),
    )
    rest = (
        Row(f"{name}: idle CPU", f"cpu_{count}", "ms/s", ("waking",), lower=True),
        Row(f"{name}: commits in 10 s", f"commits_{count}", "", target=1, lower=True),
    )
    return (*whole, *(each if count > 1 else ()), *rest)  # one machine's share would be the noise of two processes


ALL_COUNTS = sorted({*COUNTS, *QUICK_COUNTS})

BENCHMARK = Benchmark(
    "idle",
    tuple(row for count in ALL_COUNTS for row in _rows(count)),
    {
        "waking": "one thread woken once a second",
        **{f"bare_{n}_{kind}": "two threads and a socket each" for n in ALL_COUNTS for kind in ("Rss", "Pss")},
        **{f"bare_{n}_{kind}_each": "two threads and a socket" for n in ALL_COUNTS for kind in ("Rss", "Pss")},
    },
    measure,
    rounds=3,
)


# Helpers


def _settle(running: Host, quiet_s: float) -> None:
    """Wait until the process has written nothing for a while."""
    with closing(sqlite3.connect(running.db)) as connection:
        changed_s, version = time.monotonic(), None

        def quiet() -> bool:
            nonlocal changed_s, version
            if (now := _version(connection)) != version:
                changed_s, version = time.monotonic(), now
            return time.monotonic() - changed_s > quiet_s

        until(quiet)


def _idle(hosts: dict[int, Host], waking: int, window_s: float) -> Figures:
    pids = {f"cpu_{count}": running.pid for count, running in hosts.items()} | {"waking": waking}
    before = {name: cpu_s(pid) for name, pid in pids.items()}
    commits = _commits(hosts, window_s)
    used_ms = {name: (cpu_s(pid) - before[name]) * 1000 / window_s for name, pid in pids.items()}
    return {**used_ms, **{f"commits_{count}": seen * 10 / window_s for count, seen in commits.items()}}


def _commits(hosts: dict[int, Host], window_s: float) -> dict[int, int]:
    with ExitStack() as stack:
        watched = {n: stack.enter_context(closing(sqlite3.connect(hosts[n].db))) for n in hosts}
        versions = {count: _version(connection) for count, connection in watched.items()}
        seen = dict.fromkeys(hosts, 0)
        end_s = time.monotonic() + window_s
        while time.monotonic() < end_s:
            time.sleep(0.02)
            for count, connection in watched.items():
                version = _version(connection)
                seen[count] += version != versions[count]
                versions[count] = version
    return seen


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _checkpointer(name: str, pid: int, empty_pid: int, count: int) -> Figures:
    figures: Figures = {}
    for kind in ("Rss", "Pss"):
        whole = memory_kb(pid, kind)
        figures[f"{name}_{kind}"] = whole
        figures[f"{name}_{kind}_each"] = (whole - memory_kb(empty_pid, kind)) / count
    return figures
