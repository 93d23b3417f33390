"""There is no room left on the disk of the database."""

from __future__ import annotations

import json
import shlex
import socket
import sys

import pytest

from tests.support.metrics import troubles
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

    def inside(script: str, code: int = 0) -> str:
        """Run it where the small disk is mounted."""
        at_home = f"cd {project.folder} && {script}"
        return project.shell(f"nsenter --mount=/proc/{process.pid}/ns/mnt bash -c {shlex.quote(at_home)}", code=code)

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
    until(lambda: "database_full" in troubles(inside(f"{sys.executable} -c {shlex.quote(SCRAPE)}")))


def _switch(project: Project) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(project.env["STATEMACHINE_CONTROL_PREFIX"] + "-lamp.sock")
        sender.send(b'{"type": "switch"}')
