"""Run something many times over hostile input, and check that it does not crash, hang or take more memory."""

from __future__ import annotations

import gc
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

#: `make fuzz` sets FUZZ for the long campaigns; FUZZ_SEED is the first seed
LONG = os.environ.get("FUZZ") == "long"
SEED = int(os.environ.get("FUZZ_SEED", "20261124"))

#: seconds that one input may take
HANG_S = 1.0
#: MiB that a process may grow by after the first fifth of the inputs
GROWTH_MIB = 24.0


def campaign(what: str, attack: Callable[[random.Random], str], *, long: int, short: int) -> Counter[str]:
    """Attack many times, each with its own seed, and return how often each outcome came; `attack` returns the outcome.

    An error is raised with the seed that repeats it.
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
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(outcomes.items()))
    print(f"\n| {what} | {rounds:,} | {counts} | {slowest_s * 1000:.0f} ms | {grown_mib:+.1f} MiB | {took_s:.0f} s |")
    assert grown_mib < GROWTH_MIB
    return outcomes


def resident_mib() -> float:
    """Return the memory of this process in MiB, after a garbage collection."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20
