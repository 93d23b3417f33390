"""Measures the engine beside its floors and prints one table: `python benchmarks/run.py [--quick] [--only NAME]`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import events
import harness
import idle
import jobqueue
import latency
import startup
import stream

BENCHMARKS = {module.BENCHMARK.name: module.BENCHMARK for module in (events, latency, jobqueue, startup, idle, stream)}

EXPLANATION = """
Each figure is the median of several rounds. A floor is measured in the same round, right beside what is compared with
it, and the ratio is the median of the rounds' ratios, so that the drift of a noisy machine cancels."""


def main() -> int:
    options = _options()
    before = _machine()
    results = [
        result
        for name, benchmark in BENCHMARKS.items()
        if options.only in (None, name)
        for result in harness.run(benchmark, quick=options.quick)
    ]
    print("\n".join(f"{key}: {value}" for key, value in before.items()))
    print(EXPLANATION, end="\n\n")
    print(harness.table(results))
    if options.json:
        report = {"machine": before, "quick": options.quick, "rows": [result.as_dict() for result in results]}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


# Helpers


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small round: to see that it works, not how fast")
    parser.add_argument("--only", choices=BENCHMARKS, metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every sample there")
    return parser.parse_args()


def _machine() -> dict[str, Any]:
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "cores": f"{os.cpu_count()} ({_processor()}), load average at the start {load}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    sys.exit(main())
