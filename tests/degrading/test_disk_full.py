"""There is no room left on the disk: of the database, of log files, of sockets."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.support.metrics import problems
from tests.support.project import Project
from tests.support.until import until

pytestmark = pytest.mark.usefixtures("as_root")

SCRAPE = """
from statemachine_engine.web.app import create_app, monitor_of

app = create_app("data/pipeline.db")
print(app.test_client().get("/metrics").text)
monitor_of(app).close()
"""

MOUNT = "unshare -m bash -c 'mount -t tmpfs -o size=2m none data && exec statemachine lamp.yaml worker.yaml'"


def test_a_full_disk_costs_nothing_but_time(project: Project) -> None:
    (project.folder / "data").mkdir()
    process = project.start(MOUNT)
    project.until_logged("worker: running")

    inside = partial(shell_inside, project, process.pid)
    inside("head -c 3M /dev/zero > data/ballast || true")
    for _ in range(400):
        _switch(project)
    project.until_logged("the store takes nothing: ")
    unsent = inside("statemachine-db send-event --target lamp --type switch", code=1)
    refused = inside(f"statemachine-db add-job j1 --type t --payload '{json.dumps('x' * 9000)}'", code=1)
    for said in (refused, unsent):
        assert "database or disk is full; make room on its disk" in said
        assert len(said.splitlines()) == 1
    found = inside("statemachine-db doctor", code=1)
    assert "❌ disk: " in found
    assert "make room: delete other files, then statemachine-db prune" in found
    assert not [word for word in ("it can be written", ".recover") if word in found]
    inside("rm data/ballast")

    project.until_logged("the store takes nothing: over after")
    inside("statemachine-db add-job j2 --type t")
    trace = project.folder / "trace"
    until(lambda: trace.exists() and trace.read_text())
    assert trace.read_text() == "j2\n"
    moves = inside("statemachine-db transition-history --machine lamp --limit 1000 --format json")
    assert len(json.loads(moves)) == 400
    assert "Traceback" not in project.log()
    until(lambda: "database_full" in problems(inside(f"{sys.executable} -c {shlex.quote(SCRAPE)}")))


def _switch(project: Project) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(project.env["STATEMACHINE_CONTROL_PREFIX"] + "-lamp.sock")
        sender.send(b'{"type": "switch"}')


SYSTEM = """
project: full
processes: 2
grace: 500ms
restart: {delay: 100ms, max_delay: 200ms, crashes: 2}
machines:
  - {config: lamp.yaml, machine_name: lamp}
  - {config: lamp.yaml, machine_name: second, depends_on: [lamp]}
"""

MOUNT_SYSTEM = (
    "unshare -m bash -c 'mount -t tmpfs -o size=2m data data && mount -t tmpfs -o size=200k logs logs"
    " && exec statemachine-system up'"
)

# A log line and a lock on a disk that is full; room is made when both have been tried.
SMALL = """
import logging, os, subprocess, sys
from pathlib import Path
from statemachine_engine.actors.system.lock_file import LockFile
from statemachine_engine.actors.logs.log_writer import LogWriter
from statemachine_engine.storage import private

disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "disk", disk], check=True)
log = private.open_log(disk / "log")
subprocess.run(["dd", "if=/dev/zero", f"of={disk}/ballast", "bs=1k", "count=64"], stderr=subprocess.DEVNULL)
lock, other = LockFile(disk / "lock"), LockFile(disk / "lock")
print(lock.take(), other.take())
writer = LogWriter(log.fileno())
for number in range(300):
    writer.handle(logging.LogRecord("a", logging.INFO, "here", 1, "%s", (number,), None))
writer.flush()
print((disk / "log").read_text() == "")
(disk / "ballast").unlink()
while not (disk / "log").read_text().endswith("299\\n"):
    writer.flush()
print((disk / "log").read_text() == "".join(f"{number}\\n" for number in range(300)))
"""


def test_log_lines_wait_for_room_and_a_lock_needs_none(tmp_path: Path) -> None:
    command = ["unshare", "-m", sys.executable, "-c", SMALL, str(tmp_path)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout.split() == ["True", "False", "True", "True"], done.stderr


def test_a_system_goes_on_while_its_disks_are_full_and_has_all_its_machines_when_there_is_room(
    project: Project,
) -> None:
    for folder in ("data", "logs"):
        (project.folder / folder).mkdir()
    (project.folder / "statemachine-project.yaml").write_text(SYSTEM)
    process = project.start(MOUNT_SYSTEM)
    project.until_logged("system full is up")

    inside = partial(shell_inside, project, process.pid)
    inside("for disk in data logs; do head -c 3M /dev/zero > $disk/ballast || true; done")
    rows = json.loads(inside("statemachine-system status --format json"))["machines"]
    os.kill(next(row["pid"] for row in rows if row["machine_name"] == "second"), signal.SIGKILL)
    project.until_logged("second: starts again in", 4)
    refused = inside("statemachine-system restart second", code=1)
    assert "database or disk is full; make room on its disk; it is retried" in refused
    inside("rm data/ballast logs/ballast")
    project.until_logged("second: running", 2)

    inside("head -c 3M /dev/zero > data/ballast || true")
    process.terminate()
    project.until_logged("lamp: ended")
    inside("rm data/ballast")
    assert process.wait(20) == 0
    assert "killed" not in project.log().partition("SIGTERM: stopping")[2]
    assert "Traceback" not in project.log()


def shell_inside(project: Project, pid: int, script: str, code: int = 0) -> str:
    """Run it where the small disks of a process are mounted."""
    at_home = f"cd {project.folder} && {script}"
    return project.shell(f"nsenter --mount=/proc/{pid}/ns/mnt bash -c {shlex.quote(at_home)}", code=code)
