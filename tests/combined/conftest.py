"""Fixtures for features that meet: a store that outlives its runtimes, and a file in which actions leave traces."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine import JobQueue, Runtime
from statemachine_engine.actors.runtime import maintenance
from tests.support.until import until


class Site:
    """A store, and the runtimes on it, one after another or at the same time."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self._stack = ExitStack()
        self._sockets: str | None = None
        (folder / "actions").mkdir()

    def runtime(self, **options: Any) -> Runtime:
        """Start a runtime, and stop it at the end of the test if it still runs."""
        options = {"sockets": False, "grace_s": 5.0, "actions_dir": self.folder / "actions", **options}
        runtime = Runtime(options.pop("db", self.url), **options).start()
        self._stack.callback(runtime.stop, 0.0)
        return runtime

    def runtime_with_sockets(self, **options: Any) -> Runtime:
        """Start a runtime with sockets, through which other processes reach it."""
        if self._sockets is None:  # in a folder of their own: tmp_path may be too long for a socket's name
            self._sockets = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="sm-"))
        prefix, events = f"{self._sockets}/c", f"{self._sockets}/e"
        return self.runtime(sockets=True, control_prefix=prefix, event_socket=events, **options)

    def queue(self) -> JobQueue:
        """Open the store's jobs for a program that runs no machine."""
        return self._stack.enter_context(JobQueue(self.url))

    def on_close(self, callback: Callable[[], object]) -> None:
        self._stack.callback(callback)

    def close(self) -> None:
        self._stack.close()

    # Traces: lines that actions append to a file

    def trace(self, words: str) -> str:
        """Return a command that appends a line."""
        return f"echo {words} >> {self.folder}/traces"

    def hold(self, words: str) -> dict[str, Any]:
        """Return an action that leaves a line, and ends when the test unblocks it."""
        wait = f"until [ -e {self.folder}/unblocked ]; do sleep 0.01; done"
        return {"type": "bash", "command": f"{self.trace(words)}; {wait}", "success": "done", "error": "broken"}

    def unblock(self) -> None:
        """Let all held actions end, those of later runs too."""
        (self.folder / "unblocked").touch()

    @property
    def traces(self) -> list[str]:
        """The lines so far."""
        file = self.folder / "traces"
        return file.read_text().splitlines() if file.exists() else []

    def until_traced(self, *lines: str) -> None:
        """Wait until as many lines are there; they must be these."""
        until(lambda: len(self.traces) >= len(lines))
        assert self.traces == list(lines)


@pytest.fixture
def sqlite_site(tmp_path: Path) -> Iterator[Site]:
    """A site on a SQLite file."""
    with closing(Site(f"sqlite:///{tmp_path}/x.db", tmp_path)) as site:
        yield site


@pytest.fixture
def postgres_site(postgres_url: str, tmp_path: Path) -> Iterator[Site]:
    """A site on PostgreSQL."""
    with closing(Site(postgres_url, tmp_path)) as site:
        yield site


@pytest.fixture(params=["sqlite", "postgres"])
def site(request: pytest.FixtureRequest) -> Site:
    """A site on each database."""
    site = request.getfixturevalue(f"{request.param}_site")
    assert isinstance(site, Site)
    return site


@pytest.fixture
def no_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runtimes poll once an hour only, so that they notice nothing without a notification."""
    for pause in ("LOOK_S", "HEARTBEAT_S", "RESCUE_S"):
        monkeypatch.setattr(maintenance, pause, 3600.0)


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runtimes look by themselves twenty times a second, so that tests need not wait."""
    monkeypatch.setattr(maintenance, "LOOK_S", 0.05)
