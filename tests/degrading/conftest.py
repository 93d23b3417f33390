"""Make a runtime in this process and a project of real processes, on which tests cause outages."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from werkzeug.test import TestResponse

from statemachine_engine import Machine, Runtime
from statemachine_engine.storage import jobs, machines
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.web.app import create_app, monitor_of
from tests.support.metrics import problems
from tests.support.project import Project
from tests.support.until import until

WORKER = """
initial_state: waiting
transitions:
  - {from: waiting, to: working, event: new_job}
  - {from: working, to: waiting, event: job_done}
actions:
  waiting: [{type: check_database_queue, job_type: t}]
  working: [{type: bash, command: "echo {job_id} >> trace", cwd: FOLDER}]
"""

LAMP = """
initial_state: dark
transitions:
  - {from: dark, to: lit, event: switch}
  - {from: lit, to: dark, event: switch}
"""


class House:
    """A runtime with a lamp and a worker, on a database in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "data" / "pipeline.db"
        self._sockets = Path(tempfile.mkdtemp(prefix="sm-"))
        self._stack = ExitStack()
        self.environ = {
            "STATEMACHINE_DB": str(self.path),
            "STATEMACHINE_CONTROL_PREFIX": str(self._sockets / "control"),
            "STATEMACHINE_EVENT_SOCKET": str(self._sockets / "events.sock"),
        }
        self._url: str | Path = self.path
        self._monitor: Flask | None = None
        self.lamp: Machine
        self.worker: Machine

    def begin(self, url: str | None = None, **options: Any) -> Runtime:
        """Start the runtime and both machines, and wait until they wait."""
        prefix, events = self.environ["STATEMACHINE_CONTROL_PREFIX"], self.environ["STATEMACHINE_EVENT_SOCKET"]
        self._url = url or self.path
        runtime = Runtime(self._url, control_prefix=prefix, event_socket=events, grace_s=5.0, **options)
        runtime = self._stack.enter_context(runtime)
        self.lamp = runtime.add(yaml.safe_load(LAMP), "lamp")
        self.worker = runtime.add(yaml.safe_load(WORKER.replace("FOLDER", str(self.folder))), "worker")
        until(lambda: runtime.resources.wait_board.keys("jobs"))
        assert runtime.resources.recorder.flush()
        return runtime

    def switch(self, to: str) -> None:
        """Send the lamp a datagram that has no row, and wait for the state that it brings."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(self.environ["STATEMACHINE_CONTROL_PREFIX"] + "-lamp.sock")
            sender.send(json.dumps({"type": "switch"}).encode())
        until(lambda: self.lamp.state == to)

    def cli(self, *args: str, code: int = 0) -> str:
        """Run `statemachine-db ARGS` as a process and return its output."""
        command = [str(Path(sys.executable).parent / "statemachine-db"), *args]
        environ = {**os.environ, **self.environ}
        done = subprocess.run(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False
        )
        assert done.returncode == code, f"exit code {done.returncode}: {done.stdout}"
        assert "Traceback" not in done.stdout
        return done.stdout

    def db(self) -> Database:
        """Open the database as another process does."""
        database = Database.open(self.path)
        self._stack.callback(database.close)
        return database

    def metrics(self) -> str:
        """Return the text of `/metrics` from a monitor of this database."""
        return self._asked("/metrics").text

    def ready(self) -> int:
        """Return the HTTP status of `/ready` of this monitor."""
        return self._asked("/ready").status_code

    def problems(self) -> dict[str, float]:
        """Return how often each kind of problem occurred, as `/metrics` shows it."""
        return problems(self.metrics())

    def registered(self, db: Database, name: str = "lamp") -> str | None:
        """Return a machine's state in the registry."""
        row = machines.get(db, name)
        return row.current_state if row is not None and row.running else None

    def status(self, db: Database, job_id: str) -> str | None:
        """Return the status of a job."""
        job = jobs.get(db, job_id)
        return job.status if job is not None else None

    def trace(self) -> list[str]:
        """Return the jobs that were worked on, in order."""
        path = self.folder / "trace"
        return path.read_text().split() if path.exists() else []

    def close(self) -> None:
        """Stop everything."""
        self._stack.close()
        shutil.rmtree(self._sockets)

    def _asked(self, path: str) -> TestResponse:
        if self._monitor is None:
            self._monitor = create_app(self._url, event_socket=self.environ["STATEMACHINE_EVENT_SOCKET"] + "-no")
            self._stack.callback(monitor_of(self._monitor).close)
        return self._monitor.test_client().get(path)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Not started yet."""
    house = House(tmp_path)
    yield house
    house.close()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A folder with a worker and a lamp, for processes of their own."""
    project = Project(tmp_path)
    (tmp_path / "worker.yaml").write_text(textwrap.dedent(WORKER).replace("FOLDER", str(tmp_path)))
    (tmp_path / "lamp.yaml").write_text(textwrap.dedent(LAMP))
    yield project
    project.close()


@pytest.fixture
def as_root() -> None:
    """Skips the test for whom the system would not obey."""
    if os.geteuid() != 0:
        pytest.skip("only root can bring this about")
