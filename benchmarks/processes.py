"""The processes of a benchmark: one that runs machines, small ones that send or serve as floors, and their figures."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

#: the folder of the console scripts
BIN = Path(sys.executable).parent

DEADLINE_S = 60.0


class Failed(Exception):
    """A process of the benchmark did not do its part."""


class Child:
    """A process that says "ready", waits for lines on its stdin, and ends when that is closed."""

    def __init__(self, *argv: str, env: Mapping[str, str] | None = None) -> None:
        self._popen = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
        )
        self.pid = self._popen.pid

    def read(self) -> str:
        """Return its next line. Raise Failed if it ended instead."""
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        if not line:
            raise Failed(f"{self._popen.args!r:.200} ended with code {self._popen.wait()}")
        return line.strip()

    def go(self) -> None:
        """Let it begin."""
        assert self._popen.stdin is not None
        self._popen.stdin.write("go\n")
        self._popen.stdin.flush()

    def close(self) -> None:
        """End it and wait for that."""
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._popen.stdin.close()
        try:
            self._popen.wait(30)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._popen.stdout.close()


@contextmanager
def script(source: str, *arguments: str) -> Iterator[Child]:
    """Start a bare interpreter with `source`, and yield it when it has printed "ready"."""
    child = Child(sys.executable, "-c", source, *arguments)
    try:
        if child.read() != "ready":
            raise Failed("no 'ready' from a script")
        yield child
    finally:
        child.close()


class Host:
    """A process that runs machines, and where to find them."""

    def __init__(self, folder: Path, pid: int) -> None:
        self.folder = folder
        self.pid = pid
        self.db = folder / "store.db"
        self.event_socket = folder / "e.sock"

    def control(self, name: str = "m0") -> str:
        """Return the control socket of a machine."""
        return f"{self.folder}/c-{name}.sock"


@contextmanager
def host(config: Mapping[str, Any], state: str, *, count: int = 1) -> Iterator[Host]:
    """Start `count` machines m0, m1, … of one configuration file in a process, and yield it when all are in `state`."""
    with _folder() as folder:
        settings = _settings(folder, config) | {"state": state, "count": count}
        child = Child(sys.executable, str(HERE / "host.py"), json.dumps(settings))
        try:
            if child.read() != "ready":
                raise Failed("no 'ready' from the host")
            yield Host(folder, child.pid)
        finally:
            child.close()


@contextmanager
def command(config: Mapping[str, Any]) -> Iterator[Host]:
    """Start machine m0 by the `statemachine` command, with its log in a file as under a service manager."""
    with _folder() as folder:
        settings = _settings(folder, config)
        options = ["--machine-name", "m0", "--db", f"sqlite:///{settings['db']}"]
        sockets = {
            "STATEMACHINE_CONTROL_PREFIX": settings["control_prefix"],
            "STATEMACHINE_EVENT_SOCKET": settings["event_socket"],
        }
        with (folder / "log").open("wb") as log:
            popen = subprocess.Popen(
                [BIN / "statemachine", settings["config"], *options], stderr=log, env={**os.environ, **sockets}
            )
        try:
            found = Host(folder, popen.pid)
            until(Path(found.control()).exists)
            yield found
        finally:
            popen.terminate()
            popen.wait(30)


def until(predicate: Callable[[], object], *, every_s: float = 0.005, timeout_s: float = DEADLINE_S) -> None:
    """Look again and again until it is true; Failed when the time is over."""
    deadline_s = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() > deadline_s:
            raise Failed(f"not done after {timeout_s:g} s")
        time.sleep(every_s)


def bound(path: Path | str, timeout_s: float = 5.0) -> socket.socket:
    """Bind a datagram socket to the path. Its `recv` raises TimeoutError after `timeout_s`."""
    inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    inbox.settimeout(timeout_s)
    inbox.bind(str(path))
    return inbox


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used, to the nanosecond: Linux's clock of another process."""
    return time.clock_gettime((~pid << 3) | 2)


def memory_kb(pid: int, kind: str) -> float:
    """Return `Rss` or `Pss` of a process, in KB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{kind}:"):
            return float(line.split()[1])
    raise Failed(f"no {kind} of process {pid}")


# Helpers


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="smb-") as folder:
        yield Path(folder)


def _settings(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    path = folder / "machine.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")
    return {
        "db": str(folder / "store.db"),
        "control_prefix": str(folder / "c"),
        "event_socket": str(folder / "e.sock"),
        "config": str(path),
    }
