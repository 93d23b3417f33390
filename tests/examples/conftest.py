"""Each example runs in its own copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import Project, blocks, copy_of


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    """A copy of the example that the test file is named after."""
    project = copy_of(request.path.stem.removeprefix("test_"), tmp_path)
    yield project
    project.close()


@pytest.fixture
def readme(project: Project) -> list[str]:
    """The shell blocks of the example's README, in order."""
    return blocks(project.folder / "README.md")
