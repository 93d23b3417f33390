"""Commands run against a database and sockets of the test's own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from statemachine_engine.actors.sockets import datagrams, unix_socket
from statemachine_engine.cli.db.main import db as command
from statemachine_engine.storage import machines
from statemachine_engine.storage.engine.database import Database

BIN = Path(sys.executable).parent


class Installation:
    """A database, a control socket prefix and an event socket in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder / 'data' / 'pipeline.db'}"
        self.prefix = str(folder / "control")
        self.events = folder / "events.sock"
        self.environ = {
            "STATEMACHINE_DB": self.url,
            "STATEMACHINE_CONTROL_PREFIX": self.prefix,
            "STATEMACHINE_EVENT_SOCKET": str(self.events),
        }
        self.bin = BIN
        self._stack = ExitStack()

    def db(self, *args: str, stdin: str | None = None) -> Result:
        """Run `statemachine-db ARGS` in this process."""
        return CliRunner().invoke(command, args, input=stdin, env=self.environ, prog_name="statemachine-db")

    def json(self, *args: str) -> Any:
        """Return the parsed output of `statemachine-db ARGS --format json`."""
        result = self.db(*args, "--format", "json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def shell(self, command: str, *args: str) -> subprocess.CompletedProcess[str]:
        """Run an installed command in a process of its own."""
        return self.process([str(BIN / command), *args])

    def process(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a process in this folder, with our variables."""
        return subprocess.run(
            command, cwd=self.folder, env=self.process_environ, capture_output=True, text=True, timeout=60, check=False
        )

    @property
    def process_environ(self) -> dict[str, str]:
        return {**os.environ, **self.environ}

    def open(self) -> Database:
        """Open the database; it is closed with the installation."""
        database = Database.open(self.url)
        self._stack.callback(database.close)
        return database

    def listen(self, path: Path | str) -> socket.socket:
        """Bind a datagram socket; it is closed with the installation."""
        return self._stack.enter_context(unix_socket.bind(Path(path)))

    def machine(self, name: str, *, state: str = "waiting", pid: int | None = None, host: str | None = None) -> Path:
        """Enter a running machine into the registry; return the path of its control socket, which is not bound."""
        path = unix_socket.control_path(self.prefix, name)
        pid, host = pid or os.getpid(), host or socket.gethostname()
        machines.acquire(
            self.open(), name, incarnation=f"{host}/{pid}/0/{name}", pid=pid, host=host, config_type=f"{name}_config",
            state=state, control_socket=str(path), is_alive=lambda row: False,
        )  # fmt: skip
        return path

    def on_close(self, callback: Callable[[], None]) -> None:
        self._stack.callback(callback)

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Installation]:
    """There is no database yet."""
    installation = Installation(tmp_path)
    yield installation
    installation.close()


@pytest.fixture
def place(bare: Installation) -> Installation:
    """The database is empty."""
    Database.open(bare.url).close()
    return bare


@pytest.fixture
def received() -> Callable[[socket.socket], list[dict[str, Any]]]:
    """Return a function that reads all waiting datagrams of a socket, as messages."""

    def read(listener: socket.socket) -> list[dict[str, Any]]:
        listener.setblocking(False)
        messages = []
        while True:
            try:
                messages.append(json.loads(listener.recv(datagrams.MAX_DATAGRAM)))
            except BlockingIOError:
                return messages

    return read
