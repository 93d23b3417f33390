"""A machine's diagrams are files with safe names; older files are found, and so is the folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from statemachine_engine.actors.definition.loader import load_text
from statemachine_engine.actors.drawing.diagrams import DiagramSet
from statemachine_engine.actors.drawing.files import drawings, find_folder, folder_name, leftovers
from tests.support.diagram_sets import odd_diagram_sets

GROUPED = "initial_state: a\nstates: {a: {group: IDLE}, b: {group: JOB WORK}}\ntransitions: []"


def put(root: Path, name: str, config_type: str = "") -> Path:
    folder = root / name
    folder.mkdir()
    (folder / "metadata.json").write_text(json.dumps({"config_type": config_type or name}))
    return folder


def test_each_group_has_a_file_beside_main_and_metadata() -> None:
    assert list(drawings(DiagramSet(load_text(GROUPED)))) == [
        "main.mermaid",
        "IDLE.mermaid",
        "JOBWORK.mermaid",
        "metadata.json",
    ]


def test_the_files_of_odd_machines_are_plain_names_that_differ_in_more_than_case() -> None:
    for diagrams in odd_diagram_sets():
        names = list(drawings(diagrams))
        assert len({name.lower() for name in names}) == len(diagrams.groups) + 2
        assert all(name.isascii() and "/" not in name and not name.startswith(".") for name in names)
        assert {entry["file"] for entry in diagrams.metadata()["diagrams"].values()} == set(names) - {"metadata.json"}


def test_files_of_removed_groups_are_left_over(tmp_path: Path) -> None:
    for name, text in drawings(DiagramSet(load_text(GROUPED))).items():
        (tmp_path / name).write_text(text)

    now = drawings(DiagramSet(load_text("initial_state: a\nstates: {a: {group: IDLE}}\ntransitions: []")))

    assert leftovers(tmp_path, now) == [tmp_path / "JOBWORK.mermaid"]


@pytest.mark.parametrize(
    "metadata", ["", "[]", "{}", '{"diagrams": [1]}', '{"diagrams": {"a": 1, "b": {"file": "../x.mermaid"}}}']
)
def test_no_content_of_old_metadata_makes_a_foreign_file_left_over(tmp_path: Path, metadata: str) -> None:
    (tmp_path / "x.mermaid").touch()
    folder = tmp_path / "machine"
    folder.mkdir()
    (folder / "metadata.json").write_text(metadata)

    assert leftovers(folder, {}) == []


def test_a_machines_diagrams_are_found_by_name_then_configuration_then_prefix(tmp_path: Path) -> None:
    worker = put(tmp_path, "simple_worker", "worker")
    phone = put(tmp_path, "telephony")

    assert find_folder(tmp_path, "simple_worker") == worker
    assert find_folder(tmp_path, "worker_17", "worker") == worker
    assert find_folder(tmp_path, "telephony-CA1") == phone
    assert find_folder(tmp_path, "another", "other") is None


@pytest.mark.parametrize("name", ["..", "../simple_worker", "."])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    root = tmp_path / "docs"
    root.mkdir()
    put(tmp_path, "simple_worker")
    (tmp_path / "metadata.json").write_text("{}")

    assert find_folder(root, name) is None
    assert folder_name("..") == "_.."
