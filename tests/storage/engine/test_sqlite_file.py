"""The database's file, and another in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from statemachine_engine.storage.engine.sqlite_file import SqliteFile


@pytest.fixture
def file(sqlite_path: Path) -> SqliteFile:
    """One that is there, with its log."""
    file = SqliteFile(sqlite_path)
    file.make()
    wal(file).write_text("old")
    file.remember()
    return file


def wal(file: SqliteFile) -> Path:
    return file.path.with_name("pipeline.db-wal")


def test_what_a_deleted_file_leaves_beside_it_goes_when_a_new_one_is_made(file: SqliteFile) -> None:
    file.path.unlink()
    assert file.has_moved()

    file.make_way()

    assert file.path.stat().st_size == 0
    assert not wal(file).exists()


def test_another_file_is_noticed_and_does_not_inherit_the_log(file: SqliteFile, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("new")
    other.rename(file.path)
    assert file.has_moved()

    file.make_way()
    file.remember()

    assert file.path.read_text() == "new"
    assert not wal(file).exists()
    assert not file.has_moved()


def test_the_log_that_the_other_file_has_already_is_left_to_it(file: SqliteFile, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("new")
    (tmp_path / "other").rename(file.path)
    (tmp_path / "log").write_text("its own")
    (tmp_path / "log").rename(wal(file))

    file.make_way()

    assert wal(file).read_text() == "its own"


def test_nothing_is_made_where_the_folder_is_gone(file: SqliteFile, tmp_path: Path) -> None:
    file.path.parent.rename(tmp_path / "away")

    with pytest.raises(OSError, match="No such file"):
        file.make_way()
    assert not file.path.parent.exists()


def test_a_file_that_is_set_aside_takes_its_log_along_and_overwrites_nothing(file: SqliteFile) -> None:
    file.path.with_name("pipeline.db.damaged-1").write_text("an earlier one")

    aside = file.set_aside()

    assert aside.name == "pipeline.db.damaged-2"
    assert aside.with_name("pipeline.db.damaged-2-wal").read_text() == "old"
    assert not file.path.exists()
    assert not wal(file).exists()
