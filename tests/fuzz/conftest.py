"""A page in its own process."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.project import Project
from tests.support.until import until


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[], int]]:
    """Return a function that starts statemachine-ui and returns its port. It must print no traceback."""
    project = Project(tmp_path)

    def start() -> int:
        project.start("statemachine-ui --port 0 --no-websocket")
        found = until(lambda: re.search(r"Monitor: http://127\.0\.0\.1:(\d+)/", project.log()))
        return int(found[1])  # type: ignore[index]

    yield start
    project.close()
    assert "Traceback" not in project.log()
