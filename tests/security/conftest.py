"""The first user's project, in a folder that a second user can reach too."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.otheruser import OtherUser, other_user
from tests.support.project import Project

MACHINE = """
initial_state: waiting
states: [waiting, moved]
events: [go, back]
transitions:
  - {from: waiting, event: go, to: moved}
  - {from: moved, event: back, to: waiting}
"""


@pytest.fixture(scope="session")
def mallory() -> Iterator[OtherUser]:
    """A second user of this computer."""
    with other_user() as user:
        yield user


@dataclass(frozen=True, slots=True)
class Place:
    """A project whose folder others may read, with its sockets in a folder where they may write."""

    project: Project
    #: a folder like /tmp: everybody may write, and remove what is his own
    resources: Path


@pytest.fixture
def place(mallory: OtherUser) -> Iterator[Place]:
    """A project in which nothing runs."""
    with open_place() as place:
        yield place


@pytest.fixture(scope="module")
def running(mallory: OtherUser) -> Iterator[Place]:
    """A project with a running machine, started with the umask that permits everything."""
    with open_place() as place:
        place.project.start("bash -c 'umask 0; exec statemachine m.yaml'")
        place.project.until_state("m", "waiting")
        yield place


@contextmanager
def open_place() -> Iterator[Place]:
    """Yield a project with the file of one machine."""
    folder, resources = Path(tempfile.mkdtemp(prefix="sm-project-")), Path(tempfile.mkdtemp(prefix="sm-shared-"))
    folder.chmod(0o755)
    resources.chmod(0o1777)
    (folder / "m.yaml").write_text(MACHINE)
    project = Project(folder)
    project.env["STATEMACHINE_CONTROL_PREFIX"] = str(resources / "control")
    project.env["STATEMACHINE_EVENT_SOCKET"] = str(resources / "events.sock")
    project.env.pop("STATEMACHINE_UI_TOKEN", None)
    try:
        yield Place(project, resources)
    finally:
        project.close()
        shutil.rmtree(folder)
        shutil.rmtree(resources)
