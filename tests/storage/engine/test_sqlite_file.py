"""The database's file, and another in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from statemachine_engine.storage.engine.sqlite_file import SqliteFile


@pytest.fixture
def file(sqlite_path: Path) -> SqliteFile:
    """Return an existing file with its log."""
    file = SqliteFile(sqlite_path)
    file.make()
    wal(file).write_text("old")
    file.remember()
    return file


def wal(file: SqliteFile) -> Path:
    return file.path.with_name("pipeline.db-wal")


def test_what_a_deleted_file_leaves_beside_it_goes_when_a_new_one_is_made(file: SqliteFile) -> None:
    file.path.unlink()
    assert file.is_lost()
    assert wal(file).exists(), "the file may come back"

    file.make()

    assert file.path.stat().st_size == 0
    assert not wal(file).exists()


def test_another_file_is_noticed_and_does_not_inherit_the_log(file: SqliteFile, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("new")
    (tmp_path / "other").rename(file.path)

    assert file.is_lost()

    assert file.path.read_text() == "new"
    assert not wal(file).exists()
    file.remember()
    assert not file.is_lost()


def test_the_log_that_the_other_file_has_already_is_left_to_it(file: SqliteFile, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("new")
    (tmp_path / "other").rename(file.path)
    (tmp_path / "log").write_text("its own")
    (tmp_path / "log").rename(wal(file))

    assert file.is_lost()

    assert wal(file).read_text() == "its own"


def test_a_file_that_cannot_be_looked_at_is_not_taken_for_lost(file: SqliteFile, tmp_path: Path) -> None:
    file.path.parent.rename(tmp_path / "away")
    file.path.parent.write_text("no folder")

    assert not file.is_lost()


def test_a_file_that_is_set_aside_takes_its_log_along_and_overwrites_nothing(file: SqliteFile) -> None:
    file.path.with_name("pipeline.db.damaged-1").write_text("an earlier one")

    aside = file.set_aside()

    assert aside.name == "pipeline.db.damaged-2"
    assert aside.with_name("pipeline.db.damaged-2-wal").read_text() == "old"
    assert not file.path.exists()
    assert not wal(file).exists()
