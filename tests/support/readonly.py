"""Files that nobody may change for a while."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def immutable(*paths: Path) -> Iterator[None]:
    """Nobody may change these, not even root."""
    if subprocess.run(["chattr", "+i", *paths], stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("this file system knows no immutable files, or we are not root")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *paths], check=True)


@contextmanager
def mounted_read_only(folder: Path) -> Iterator[Path]:
    """Mount the folder read-only, as a container's volume may be, and yield its path there."""
    with tempfile.TemporaryDirectory() as seen:
        if subprocess.run(["mount", "--bind", folder, seen], stderr=subprocess.DEVNULL, check=False).returncode:
            pytest.skip("nothing can be mounted here")
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", seen], check=True)
            yield Path(seen)
        finally:  # lazy: SQLite closes files late that are open elsewhere in this process
            subprocess.run(["umount", "--lazy", seen], check=True)
