"""A lock that its holder's death sets free."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from statemachine_engine.actors.system.lock_file import LockFile

HOLD = """
import sys, time
from pathlib import Path
from statemachine_engine.actors.system.lock_file import LockFile
print(LockFile(Path(sys.argv[1])).take(), flush=True)
time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.lock"


def test_one_holder_at_a_time(path: Path) -> None:
    first, second = LockFile(path), LockFile(path)

    assert first.take()
    assert not second.take()
    first.release()
    assert second.take()
    second.release()


def test_the_file_names_its_holder_and_goes_with_it(path: Path) -> None:
    lock = LockFile(path)
    lock.take()
    assert path.read_text() == f"{os.getpid()}\n"

    lock.release()
    lock.release()

    assert not path.exists()


def test_a_holder_whose_file_is_gone_takes_it_again_unless_another_one_has(path: Path) -> None:
    lock, other = LockFile(path), LockFile(path)
    assert not lock.keep()
    assert lock.take()

    path.unlink()
    assert lock.keep()
    assert not other.take()

    path.unlink()
    assert other.take()
    assert not lock.keep()
    lock.release()
    assert path.exists()
    other.release()
    assert not path.exists()


def test_a_killed_holder_leaves_the_lock_free(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True\n"
        lock = LockFile(path)
        assert not lock.take()
        holder.kill()

    assert lock.take()
    lock.release()


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="symbolic"):
        LockFile(path).take()

    assert not (tmp_path / "elsewhere").exists()
