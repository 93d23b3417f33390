"""The system gives no more processes, threads or descriptors."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from statemachine_engine.web.app import create_app, monitor_of
from tests.degrading.conftest import LAMP
from tests.support.metrics import problems
from tests.support.project import Project
from tests.support.until import until

#: a user who has no other processes
SOMEBODY = 50_000 + os.getpid() % 10_000

WORKER = """
initial_state: waiting
on_error: {tries: 20, delay: 0.3, max_delay: 0.3}
transitions:
  - {from: waiting, to: working, event: new_job}
  - {from: working, to: waiting, event: job_done}
actions:
  waiting: [{type: check_database_queue, job_type: t}]
  working: [{type: bash, command: "echo {job_id} >> trace"}]
"""

STARTER = """
initial_state: waiting
transitions:
  - {from: waiting, to: starting, event: start_another}
  - {from: starting, to: waiting, event: done}
  - {from: starting, to: waiting, event: error}
actions:
  starting: [{type: start_fsm, yaml_path: lamp.yaml, machine_name: another, success: done}]
"""


@pytest.fixture
def project(as_root: None) -> Iterator[Project]:
    """A folder of somebody's own."""
    folder = Path(tempfile.mkdtemp(prefix="sm-limits-"))
    (folder / "worker.yaml").write_text(WORKER)
    (folder / "lamp.yaml").write_text(LAMP)
    (folder / "starter.yaml").write_text(STARTER)
    for path in (folder, *folder.iterdir()):
        os.chown(path, SOMEBODY, SOMEBODY)
    project = Project(folder)
    yield project
    project.close()
    shutil.rmtree(folder)


@pytest.fixture
def started(project: Project) -> subprocess.Popen[bytes]:
    """A worker that has done a job, so that it has what it needs, a lamp and who could start another."""
    process = project.start(f"{_as_somebody()} statemachine worker.yaml starter.yaml lamp.yaml")
    project.until_logged("lamp: running")
    project.shell("statemachine-db add-job first --type t")
    _until_done(project, "first")
    return process


def _as_somebody() -> str:
    """Limits do not hold for root; our interpreter may still be read."""
    return f"setpriv --reuid {SOMEBODY} --clear-groups --inh-caps -all,+dac_override --ambient-caps -all,+dac_override"


def test_without_processes_and_threads_an_action_fails_with_the_reason_and_is_tried_again(
    project: Project, started: subprocess.Popen[bytes]
) -> None:
    _limit(started, "nproc", 1)
    project.shell("statemachine-db add-job second --type t")
    project.until_logged("the shell cannot be started: Resource temporarily unavailable")
    project.shell("statemachine-db send-event --target starter --type start_another")
    project.until_logged("another cannot be started: the system gives no more threads")
    project.shell("statemachine-db send-event --target lamp --type switch")
    project.until_state("lamp", "lit")
    _limit(started, "nproc", resource.getrlimit(resource.RLIMIT_NPROC)[0])

    _until_done(project, "second")
    assert "Traceback" not in project.log()
    until(lambda: {"command_not_started", "machine_not_started"} <= _problems(project).keys())


def test_without_descriptors_an_action_fails_with_the_reason_and_is_tried_again(
    project: Project, started: subprocess.Popen[bytes]
) -> None:
    in_use = len(list(Path(f"/proc/{started.pid}/fd").iterdir()))
    _limit(started, "nofile", in_use)
    project.shell("statemachine-db add-job second --type t")
    project.until_logged("the shell cannot be started: Too many open files")
    _limit(started, "nofile", resource.getrlimit(resource.RLIMIT_NOFILE)[0])

    _until_done(project, "second")
    project.shell("statemachine-db send-event --target lamp --type switch")
    project.until_state("lamp", "lit")
    assert "Traceback" not in project.log()
    until(lambda: "command_not_started" in _problems(project))


def _problems(project: Project) -> dict[str, float]:
    app = create_app(project.folder / "data" / "pipeline.db")
    with closing(monitor_of(app)):
        return problems(app.test_client().get("/metrics").text)


def _limit(process: subprocess.Popen[bytes], kind: str, most: int) -> None:
    """Let it have no more than that from now on."""
    soft = "unlimited" if most == resource.RLIM_INFINITY else str(most)
    command = ["setpriv", "--reuid", str(SOMEBODY), "--clear-groups", "prlimit", "--pid", str(process.pid)]
    subprocess.run([*command, f"--{kind}={soft}:"], check=True)


def _until_done(project: Project, job_id: str) -> None:
    trace = project.folder / "trace"
    until(lambda: trace.exists() and job_id in trace.read_text())
