"""Machines in processes of their own: started, reaped, ended with their parent."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from statemachine_engine.actors.errors import CommandNotStarted
from statemachine_engine.actors.processes import child_process
from statemachine_engine.actors.processes import children as children_module
from statemachine_engine.actors.processes.children import Children
from statemachine_engine.actors.processes.incarnation import started_at
from tests.support.until import until

WAITS = "import signal, sys, pathlib; pathlib.Path(sys.argv[1]).write_text(' '.join(sys.argv[2:])); signal.pause()"
IGNORES = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + WAITS


class Family:
    """Children that run a program of ours in place of the engine's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.children, self._patch, self._folder = Children(), monkeypatch, folder
        self.pids: list[int] = []

    def start(self, program: str = WAITS, parent: str = "p", *, detached: bool = False, **context: object) -> int:
        """Start a child, and return its process id when its program runs."""
        self._patch.setattr(children_module, "STATEMACHINE", (sys.executable, "-c", program))
        self._patch.setattr(child_process, "STATEMACHINE", (sys.executable, "-c", program))
        said = self._folder / str(len(self.pids))
        pid = self.children.start(parent, said, "child", context, options=["--db", "x"], detached=detached)
        self.pids.append(pid)
        until(said.exists)
        return pid

    def said(self) -> str:
        path = self._folder / "0"
        return until(path.read_text)


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):  # type: ignore[no-untyped-def]
    family = Family(monkeypatch, tmp_path)
    yield family
    for pid in family.pids:
        if started_at(pid) is not None:
            os.kill(pid, signal.SIGKILL)
    until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("sm-machine-child")])


def test_a_child_gets_its_name_options_and_context(family: Family) -> None:
    family.start(job={"id": "ü"}, path=Path("/x"))
    assert family.said() == '--machine-name child --db x --initial-context {"job": {"id": "\\u00fc"}, "path": "/x"}'


def test_children_end_with_their_parent_and_are_reaped(family: Family) -> None:
    mine, other = family.start(), family.start(parent="q")
    family.children.stop("p")
    until(lambda: started_at(mine) is None)
    assert started_at(other) is not None
    family.children.stop()
    assert started_at(other) is None


def test_a_detached_child_goes_on(family: Family) -> None:
    pid = family.start(detached=True)
    family.children.stop()
    assert started_at(pid) is not None


def test_children_that_do_not_end_are_killed_and_share_one_grace(
    family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children_module, "GRACE_S", 1.0)
    pids = [family.start(IGNORES) for _ in range(6)]
    begun_s = time.monotonic()
    family.children.stop()
    assert time.monotonic() - begun_s < 5
    until(lambda: all(started_at(pid) is None for pid in pids))


def test_a_child_that_ended_by_itself_is_forgotten(family: Family, caplog: pytest.LogCaptureFixture) -> None:
    pid = family.start(WAITS.replace("signal.pause()", "sys.exit(3)"))
    until(lambda: f"machine child (pid {pid}) ended with exit code 3" in caplog.text)
    family.children.stop()
    assert not family.children._running


def test_a_child_s_interrupt_from_the_terminal_is_not_its_parent_s(family: Family) -> None:
    assert os.getsid(family.start()) != os.getsid(0)


def test_one_that_cannot_be_started_is_an_error_with_the_reason(family: Family) -> None:
    too_much = "x" * 200_000  # an argument of a command has 128 KiB at most
    with pytest.raises(CommandNotStarted, match="machine child cannot be started: .*Argument list too long"):
        family.start(text=too_much)
