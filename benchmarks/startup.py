"""Measure the start of each command: wall time of whole processes, against a bare interpreter.

Timed: from starting the process until it has ended. `add-job` writes to an existing store; `send-event` writes to the
store and reaches a running machine. Floor: `python -c pass` of the same environment.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable

from events import MOVES
from harness import Benchmark, Figures, Row
from processes import BIN, Host, host

STATEMACHINE, STATEMACHINE_DB = str(BIN / "statemachine"), str(BIN / "statemachine-db")


def measure(quick: bool) -> Figures:
    """Measure one round: each command in turn, several times."""
    with host(MOVES, "a") as running:
        commands = _commands(running)
        times_s: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(2 if quick else 8):
            for name, argv in commands.items():
                times_s[name].append(_run_s(argv()))
    return {name: statistics.median(taken) * 1000 for name, taken in times_s.items()}


FLOOR = ("bare",)

BENCHMARK = Benchmark(
    "startup",
    (
        Row("`statemachine --help`", "run_help", "ms", FLOOR, lower=True),
        Row("`statemachine-db --help`", "db_help", "ms", FLOOR, lower=True),
        Row("`statemachine-db add-job`", "add_job", "ms", FLOOR, target=120, lower=True),
        Row("`statemachine-db send-event`", "send_event", "ms", FLOOR, lower=True),
    ),
    {"bare": "python -c pass"},
    measure,
    rounds=3,
)


# Helpers


def _commands(running: Host) -> dict[str, Callable[[], list[str]]]:
    db = ["--db", f"sqlite:///{running.db}"]
    control = ["--control-socket-prefix", f"{running.folder}/c"]
    return {
        "bare": lambda: [sys.executable, "-c", "pass"],
        "run_help": lambda: [STATEMACHINE, "--help"],
        "db_help": lambda: [STATEMACHINE_DB, "--help"],
        "add_job": lambda: [STATEMACHINE_DB, "add-job", uuid.uuid4().hex, "--type", "work", *db],
        "send_event": lambda: [STATEMACHINE_DB, "send-event", "--target", "m0", "--type", "go", *control, *db],
    }


def _run_s(argv: list[str]) -> float:
    started_s = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started_s
