"""Fixtures for running machines: a runtime without sockets on the in-memory store, and its journal."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine import Machine, Runtime
from tests.support import leftovers
from tests.support.journal import Journal

Start = Callable[..., Machine]


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test after which a thread, an open descriptor, a socket file or the row of a running machine is left."""

    def look() -> set[str]:
        return leftovers.threads() | leftovers.descriptors()

    before = look()
    yield
    for record in caplog.get_records("call"):  # the traceback of a logged error keeps open what its frames have
        record.args = record.exc_info = None
    left = leftovers.since(before, look) + sorted(leftovers.running_rows(tmp_path))
    if request.node.get_closest_marker("leaves_sockets") is None:
        left += sorted(leftovers.sockets(tmp_path))
    assert not left, "left behind: " + ", ".join(left)


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    """A runtime in memory; the test fails if an actor of it died."""
    with Runtime("sqlite:///:memory:", sockets=False, actions_dir=_folder(tmp_path), grace_s=5.0) as running:
        yield running
    assert not running.supervisor.crashes or getattr(running, "crashes_expected", False), "an actor died"


@pytest.fixture
def journal(runtime: Runtime) -> Journal:
    """The events that the runtime publishes."""
    journal = Journal()
    runtime.subscribe(journal)
    return journal


@pytest.fixture
def start(runtime: Runtime) -> Start:
    """Start a machine from the text of its YAML."""

    def start_machine(text: str, name: str = "m", **context: Any) -> Machine:
        import yaml

        return runtime.add(yaml.safe_load(textwrap.dedent(text)), name, context)

    return start_machine


@pytest.fixture
def action(tmp_path: Path) -> Callable[[str, str], None]:
    """Write a custom action: `action("probe", source)`."""

    def write(name: str, source: str) -> None:
        (_folder(tmp_path) / f"{name}_action.py").write_text(textwrap.dedent(source))

    return write


def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "actions"
    folder.mkdir(exist_ok=True)
    return folder
