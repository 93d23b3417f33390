"""Files for their owner alone, whatever the umask says and whatever stands in their place."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from statemachine_engine.storage import private
from statemachine_engine.storage.errors import NotOurs


@pytest.fixture(autouse=True)
def open_to_all() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_that_were_not_there_are_their_owner_s_and_those_that_were_stay(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    private.make_folder(tmp_path / "a" / "b")
    assert [mode(path) for path in (tmp_path, tmp_path / "a", tmp_path / "a" / "b")] == [0o755, 0o700, 0o700]


def test_a_log_is_its_owner_s_and_added_to(tmp_path: Path) -> None:
    for _ in range(2):
        with private.open_log(tmp_path / "x.log") as log:
            log.write(b"line\n")
    assert (mode(tmp_path / "x.log"), (tmp_path / "x.log").read_bytes()) == (0o600, b"line\nline\n")


@pytest.mark.parametrize("what", ["link", "second name", "pipe", "folder"])
def test_no_log_goes_where_something_else_stands(tmp_path: Path, what: str) -> None:
    path, precious = tmp_path / "x.log", tmp_path / "precious"
    precious.write_text("kept")
    {
        "link": lambda: path.symlink_to(precious),
        "second name": lambda: path.hardlink_to(precious),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
    }[what]()
    with pytest.raises(OSError):  # noqa: PT011 - each has a reason of its own
        private.open_log(path)
    assert precious.read_text() == "kept"


def test_a_file_is_made_only_where_nothing_is(tmp_path: Path) -> None:
    private.make_file(tmp_path / "x")
    assert mode(tmp_path / "x") == 0o600
    (tmp_path / "link").symlink_to(tmp_path / "y")
    for name in ("x", "link"):
        with pytest.raises(FileExistsError):
            private.make_file(tmp_path / name)
    assert not (tmp_path / "y").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_stranger_s_file_is_refused_by_his_name_and_a_link_by_its_own_owner(tmp_path: Path) -> None:
    (tmp_path / "theirs").touch()
    os.chown(tmp_path / "theirs", 1, 1)
    (tmp_path / "link").symlink_to(tmp_path)
    os.chown(tmp_path / "link", 4242, 4242, follow_symlinks=False)
    with pytest.raises(NotOurs, match=r"it belongs to user \w+ \(uid 1\), not to us or root: remove it"):
        private.check(tmp_path / "theirs", "remove it")
    with pytest.raises(NotOurs, match="belongs to uid 4242"):
        private.check(tmp_path / "link", "remove it")
    private.check(tmp_path / "theirs", "remove it", trusted=[1])
    private.check(tmp_path / "none", "remove it")
