"""Definitions and diagrams, from where they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from statemachine_engine.storage.machines import MachineRow
from statemachine_engine.web import library as module
from statemachine_engine.web.library import Library

MACHINE = "initial_state: {0}\nstates: [{0}]\nmetadata: {{machine_name: lamp}}\n"


def row(config_type: str | None = None, path: Path | None = None, name: str = "lamp") -> MachineRow:
    metadata = {"config_path": str(path)} if path else None
    return MachineRow(name, "a", 0.0, None, metadata, config_type, None, None, None, None, "ended", None, None)


def test_a_definition_comes_from_where_its_runtime_found_it(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.yaml"
    path.write_text(MACHINE.format("a"))
    definition = Library(tmp_path / "project").definition_of(row("other", path))

    assert definition is not None
    assert definition.initial_state == "a"


def test_else_from_the_project_by_file_name_or_by_machine_name(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "light.yml").write_text(MACHINE.format("a"))
    for skipped in (".hidden", "node_modules"):
        (tmp_path / skipped).mkdir()
        (tmp_path / skipped / "lost.yaml").write_text(MACHINE.format("a"))
    library = Library(tmp_path)

    assert library.definition_of(row("light")) is not None
    assert library.definition_of(row(None)) is not None
    assert library.definition_of(row("lost")) is None


def test_a_file_that_changes_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN_S", 0.0)
    path = tmp_path / "lamp.yaml"
    path.write_text(MACHINE.format("a"))
    library = Library(tmp_path)
    first = library.definition_of(row("lamp", path))
    assert library.definition_of(row("lamp", path)) is first
    path.write_text(MACHINE.format("b"))
    os.utime(path, ns=(1, 1))

    fresh = library.definition_of(row("lamp", path))
    assert fresh is not None
    assert fresh.initial_state == "b"


def test_a_search_through_a_large_folder_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FILES", 3)
    for number in range(20):
        (tmp_path / f"m{number:02}.yaml").write_text(MACHINE.format("a"))
    library = Library(tmp_path)

    assert library.definition_of(row("m02")) is not None
    assert library.definition_of(row("m19")) is None
