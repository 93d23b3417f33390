"""The system gives no more memory: to a command, to an action, to a machine that is to read what was sent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from statemachine_engine.storage import mailbox
from statemachine_engine.storage.engine.database import Database
from tests.support.project import Project
from tests.support.until import until

HOARDER = f"""
initial_state: idle
transitions:
  - {{from: idle, to: hoarding, event: hoard}}
  - {{from: idle, to: commanding, event: command}}
  - {{from: [hoarding, commanding], to: failed, event: error}}
  - {{from: failed, to: idle, event: ready}}
actions:
  hoarding: [{{type: hoard}}]
  commanding: [{{type: bash, command: "ulimit -v 40000; exec {sys.executable} -c 'bytearray(1 << 30)'"}}]
"""

HOARD = '''
"""hoard: takes what there is not."""

from statemachine_engine.actions import BaseAction


class HoardAction(BaseAction):
    def execute(self, context):
        bytearray(1 << 31)
'''

LARGE = 15_000_000


@pytest.fixture
def process(project: Project) -> subprocess.Popen[bytes]:
    """A hoarder and a lamp."""
    (project.folder / "hoarder.yaml").write_text(HOARDER)
    (project.folder / "actions").mkdir()
    (project.folder / "actions" / "hoard_action.py").write_text(HOARD)
    process = project.start("statemachine hoarder.yaml lamp.yaml --actions-dir actions")
    project.until_logged("lamp: running")
    return process


def test_an_action_or_command_that_gets_no_memory_fails_like_any_other(
    project: Project, process: subprocess.Popen[bytes]
) -> None:
    _limit(process, _size(process))
    for event, said in (("hoard", "Error executing action hoard: MemoryError"), ("command", "Command failed (exit 1)")):
        project.shell(f"statemachine-db send-event --target hoarder --type {event}")
        project.until_state("hoarder", "failed")
        assert said in project.log()
        project.shell("statemachine-db send-event --target hoarder --type ready")
        project.until_state("hoarder", "idle")
    process.terminate()
    assert process.wait(20) == 0, "an end needs no memory"


def test_a_machine_that_gets_no_memory_for_events_takes_each_when_there_is_some(
    project: Project, process: subprocess.Popen[bytes]
) -> None:
    _limit(process, _size(process))

    with Database.open(project.folder / "data" / "pipeline.db") as db:
        for _ in range(3):
            mailbox.post(db, "lamp", "switch", {"text": "x" * LARGE})
        project.until_logged("ERROR")  # of the actor that reads, or of the store that is to be written
        _limit(process, None)

        until(lambda: _statuses(db) == ["processed"] * 3)
    assert process.poll() is None


def _statuses(db: Database) -> list[str]:
    with db.read():
        return [row[0] for row in db.execute("SELECT status FROM machine_events").fetchall()]


def _size(process: subprocess.Popen[bytes]) -> int:
    """Bytes of address space that it has taken."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmSize")).split()[1]) * 1024


def _limit(process: subprocess.Popen[bytes], most: int | None) -> None:
    """Let it have no more address space than that from now on."""
    subprocess.run(["prlimit", "--pid", str(process.pid), f"--as={most or 'unlimited'}:"], check=True)
