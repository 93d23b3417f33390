"""Test the cancellation of each kind of action, for each cause. docs/actions.md has the table."""

from __future__ import annotations

import logging
import signal
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from statemachine_engine import JobQueue, Machine, Runtime
from statemachine_engine.actors.machine import leaked_action
from statemachine_engine.actors.processes import command
from statemachine_engine.actors.runtime import runtime as runtime_module
from statemachine_engine.actors.sockets.messages import Notification
from statemachine_engine.storage import jobs
from tests.support.processes import alive
from tests.support.project import Project
from tests.support.until import until

KINDS = ("bash", "awaits", "looks", "deaf")

#: a group whose child ignores SIGTERM; the shell itself does not
STUBBORN = """
sh -c 'trap "" TERM; echo $$ > bash.entered.new; mv bash.entered.new bash.entered; while :; do sleep 0.05; done' &
wait
"""
ACTIONS = {
    "awaits": """
        async def execute(self, context):
            Path("awaits.entered").touch()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                said = "cancelled"
                raise
            finally:
                await asyncio.sleep(0)
                Path("awaits.ended").write_text(said)
    """,
    "looks": """
        def execute(self, context):
            Path("looks.entered").touch()
            while not self.services.cancel.wait(0.01):
                pass
            Path("looks.ended").write_text("cancelled")
    """,
    "deaf": """
        def execute(self, context):
            Path("deaf.entered").touch()
            while not Path("free").exists():
                time.sleep(0.01)  # here
            Path("deaf.ended").touch()
            context["too_late"] = True
            return "leave"
    """,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory, with the actions; what hangs in it at the end is freed."""
    monkeypatch.chdir(tmp_path)
    write_actions(tmp_path)
    yield tmp_path
    (tmp_path / "free").touch()
    until(lambda: (tmp_path / "deaf.ended").exists() or not (tmp_path / "deaf.entered").exists())


def write_actions(folder: Path) -> None:
    (folder / "actions").mkdir()
    for name, body in ACTIONS.items():
        head = "import asyncio, time\nfrom pathlib import Path\nfrom statemachine_engine.actions import BaseAction\n"
        lines = f"{head}class {name.title()}Action(BaseAction):\n" + textwrap.indent(textwrap.dedent(body), "    ")
        (folder / "actions" / f"{name}_action.py").write_text(lines)


def definition(kind: str, timeout: str = "60", initial: str = "busy") -> dict[str, Any]:
    action = {"type": kind, "timeout": 0, "command": STUBBORN} if kind == "bash" else {"type": kind}
    return {
        "initial_state": initial,
        "transitions": [
            {"from": "waiting", "to": "busy", "event": "new_job"},
            {"from": "busy", "to": "away", "event": "error"},
            {"from": "busy", "to": "away", "event": "leave", "interrupt": True},
            {"from": "busy", "to": "away", "event": f"timeout({timeout})"},
        ],
        "actions": {"waiting": [{"type": "check_database_queue"}], "busy": [action]},
    }


def stop(runtime: Runtime, machine: Machine) -> None:
    runtime.stop(grace_s=0.1)


def leave(runtime: Runtime, machine: Machine) -> None:
    machine.send("leave")
    machine.wait_for("away", 30)


def time_out(runtime: Runtime, machine: Machine) -> None:
    machine.wait_for("away", 30)


def lose_job(runtime: Runtime, machine: Machine) -> None:
    jobs.cancel(runtime.db, "j")
    runtime.router.on_notification(Notification("done", 1, ("j",)))
    machine.wait_for("away", 30)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cause", [stop, leave, time_out, lose_job])
def test_every_cause_reaches_every_kind_of_action_within_its_grace(
    folder: Path,
    kind: str,
    cause: Callable[[Runtime, Machine], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(command, "GRACE_S", 0.1)
    if kind == "deaf":  # the others come to their end by themselves, how long that ever takes on a busy machine
        monkeypatch.setattr(leaked_action, "PATIENCE_S", 0.7)
        monkeypatch.setattr(runtime_module, "CUT_OFF_S", 0.7)
    with Runtime("sqlite:///:memory:", sockets=False, actions_dir=folder / "actions") as runtime:
        timeout, initial = "0.3" if cause is time_out else "60", "waiting" if cause is lose_job else "busy"
        machine = runtime.add(definition(kind, timeout, initial), "m")
        JobQueue(runtime).add("t", job_id="j")
        entered = until((folder / f"{kind}.entered").exists) and (folder / f"{kind}.entered").read_text()

        cause(runtime, machine)

        if kind == "bash":
            until(lambda: not alive(int(entered)))
        elif kind == "deaf":
            until(lambda: [record for record in caplog.records if "was cancelled and goes on" in record.message])
            assert not (folder / "deaf.ended").exists()
            check_said(caplog, folder)
        else:
            assert until(lambda: (folder / f"{kind}.ended").exists() and (folder / f"{kind}.ended").read_text())
            assert (folder / f"{kind}.ended").read_text() == "cancelled"
        assert kind == "deaf" or "goes on" not in caplog.text
    assert runtime.left_behind == (["m"] if kind == "deaf" else [])
    assert "too_late" not in machine.context


def check_said(caplog: pytest.LogCaptureFixture, folder: Path) -> None:
    (said,) = [record.getMessage() for record in caplog.records if "goes on" in record.getMessage()]
    file = folder / "actions" / "deaf_action.py"
    line = file.read_text().splitlines().index("            time.sleep(0.01)  # here") + 1
    assert said.startswith("m: action deaf in state busy was cancelled and goes on; it is at ")
    assert f"{file}:{line} (execute)" in said or f"{file}:{line - 1} (execute)" in said


def test_sigterm_ends_the_actions_of_a_process_and_says_what_it_leaves_behind(tmp_path: Path) -> None:
    write_actions(tmp_path)
    project = Project(tmp_path)
    for kind in KINDS:
        (tmp_path / f"{kind}.yaml").write_text(yaml.safe_dump(definition(kind)))
    process_ = project.start(
        f"statemachine {' '.join(f'{kind}.yaml' for kind in KINDS)} --actions-dir actions --grace 0.2"
    )
    for kind in KINDS:
        until((tmp_path / f"{kind}.entered").exists)

    process_.send_signal(signal.SIGTERM)
    assert process_.wait(20) == 0

    assert not alive(int((tmp_path / "bash.entered").read_text()))
    assert [(tmp_path / f"{kind}.ended").read_text() for kind in ("awaits", "looks")] == ["cancelled"] * 2
    assert "deaf: action deaf in state busy was cancelled and goes on; it is at " in project.log()
    assert "leaving actions behind that do not end, of deaf" in project.log()
    project.close()


def test_a_final_state_s_actions_get_the_grace_and_are_ended_too(folder: Path) -> None:
    ending = definition("bash")
    ending["final"] = ["busy"]
    ending["transitions"] = []
    with Runtime("sqlite:///:memory:", sockets=False) as runtime:
        machine = runtime.add(ending, "m")
        until((folder / "bash.entered").exists)
        runtime.stop(grace_s=0)

        assert not alive(int((folder / "bash.entered").read_text()))
        assert machine.outcome is None


def test_a_coroutine_that_swallows_its_cancellation_is_reported(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(leaked_action, "PATIENCE_S", 0.1)
    (folder / "actions" / "awaits_action.py").write_text(
        "import asyncio\nfrom pathlib import Path\nfrom statemachine_engine.actions import BaseAction\n"
        "class AwaitsAction(BaseAction):\n"
        "    async def execute(self, context):\n"
        "        Path('awaits.entered').touch()\n"
        "        while not Path('free').exists():\n"
        "            try:\n"
        "                await asyncio.sleep(0.01 if Path('cancelled').exists() else 60)\n"
        "            except asyncio.CancelledError:\n"
        "                Path('cancelled').touch()\n"
    )
    with Runtime("sqlite:///:memory:", sockets=False, actions_dir=folder / "actions") as runtime:
        machine = runtime.add(definition("awaits"), "m")
        until((folder / "awaits.entered").exists)
        leave(runtime, machine)
        until(lambda: "goes on" in caplog.text)
        (folder / "free").touch()
        until(lambda: not runtime.left_behind)

    assert caplog.records[-1].levelno >= logging.WARNING
    assert "m: action awaits in state busy was cancelled and goes on; it is at " in caplog.text
