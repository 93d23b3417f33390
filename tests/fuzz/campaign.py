"""Runs something many times over hostile input, and holds it to what is promised: no crash, no hang, flat memory."""

from __future__ import annotations

import gc
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

#: `make fuzz` sets it: the long forms, with the seed to begin from
LONG = os.environ.get("FUZZ") == "long"
SEED = int(os.environ.get("FUZZ_SEED", "20261124"))

#: seconds that one input may take
HANG_S = 1.0
#: MiB that a process may grow by after the first fifth of the inputs
GROWTH_MIB = 24.0


def campaign(what: str, attack: Callable[[random.Random], str], *, long: int, short: int) -> Counter[str]:
    """Attack so many times, each with its own seed; `attack` says what became of it. How often each of that came.

    What fails is raised with the seed that makes it fail again.
    """
    rounds = long if LONG else short
    outcomes: Counter[str] = Counter()
    slowest_s, warm_mib = 0.0, 0.0
    begun_s = time.monotonic()
    for number in range(rounds):
        if number == rounds // 5:
            warm_mib = resident_mib()
        at_s = time.perf_counter()
        try:
            outcomes[attack(random.Random(SEED + number))] += 1
        except BaseException as error:
            error.add_note(f"{what}: again with FUZZ_SEED={SEED + number}")
            raise
        took_s = time.perf_counter() - at_s
        assert took_s < HANG_S, f"{what}: {took_s:.1f} s with FUZZ_SEED={SEED + number}"
        slowest_s = max(slowest_s, took_s)
    grown_mib = resident_mib() - warm_mib
    took_s = time.monotonic() - begun_s
    said = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(outcomes.items()))
    print(f"\n| {what} | {rounds:,} | {said} | {slowest_s * 1000:.0f} ms | {grown_mib:+.1f} MiB | {took_s:.0f} s |")
    assert grown_mib < GROWTH_MIB
    return outcomes


def resident_mib() -> float:
    """What this process has in memory, garbage left out."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20
