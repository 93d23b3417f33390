"""A clock of one's own for processes of a test: libfaketime, and the file that sets it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

LIBRARIES = "lib*/**/faketime/libfaketimeMT.so.1"


class FakeClock:
    """The clock of the processes that are started with its environment; how long things take stays as it is."""

    def __init__(self, folder: Path) -> None:
        """Skips the test where there is no libfaketime."""
        self._file = folder / "clock"
        self._by_s = 0
        self.set(0)
        self.env = {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, by_s: int) -> None:
        """Shift the clock by a number of seconds from the real one, also for processes that run already."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{by_s:+}\n")
        new.replace(self._file)
        self._by_s = by_s

    def now(self) -> float:
        """Return the time that those processes read."""
        return time.time() + self._by_s


def _library() -> Path:
    found = next(Path("/usr").glob(LIBRARIES), None)
    if found is None and os.environ.get("CI"):
        pytest.fail("CI needs libfaketime (Debian: apt-get install faketime)")
    if found is None:
        pytest.skip("no libfaketime (Debian: apt-get install faketime)")
    return found
