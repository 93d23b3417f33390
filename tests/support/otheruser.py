"""A second account of this computer, and programs that really run as it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.support.until import until

#: what the other user's programs may need is loaded before the change: the interpreter may lie where only root may read
AS_USER = """
import encodings.idna, errno, glob, json, os, signal, socket, stat, sys, time
from pathlib import Path
for name in sys.argv[2].split():
    __import__(name)
os.umask(0)
os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
program, args = sys.argv[3], sys.argv[4:]
exec(compile(program, "attack", "exec"))
"""


@dataclass(frozen=True, slots=True)
class OtherUser:
    """An account that owns nothing and belongs to no group of ours."""

    name: str
    uid: int

    def start(self, program: str, *args: object, load: str = "") -> subprocess.Popen[str]:
        """Run Python as this user; `args` are its list of that name, `load` modules that it needs."""
        command = [sys.executable, "-c", AS_USER, str(self.uid), load, textwrap.dedent(program), *map(str, args)]
        return subprocess.Popen(
            command, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, program: str, *args: object, load: str = "") -> str:
        """Run the same to its end, and return its output."""
        with self.start(program, *args, load=load) as process:
            said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said
        return said.strip()

    @contextmanager
    def running(self, program: str, *args: object) -> Iterator[subprocess.Popen[str]]:
        """Start a program that prints a line when it is ready, and kill it at the end."""
        with self.start(program, *args) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first == "ready\n", first + process.stdout.read()
            yield process
            process.kill()


@contextmanager
def other_user() -> Iterator[OtherUser]:
    """Make the account, and remove it; skips where only root could, fails in CI where root lacks the tools."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a second user")
    if shutil.which("useradd") is None or shutil.which("userdel") is None:
        missing = "useradd and userdel are not installed"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    name = f"sm-mallory-{os.getpid()}"

    def add() -> bool:  # another worker may hold the lock of /etc/passwd
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
        return subprocess.run(command, check=False, capture_output=True).returncode in (0, 9)

    until(add)
    try:
        yield OtherUser(name, int(subprocess.check_output(["id", "-u", name])))
    finally:
        until(lambda: subprocess.run(["userdel", name], check=False, capture_output=True).returncode in (0, 6, 8))
