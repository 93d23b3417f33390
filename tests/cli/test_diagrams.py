"""`statemachine-diagrams`: its files, formats, checks and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from statemachine_engine.cli.diagrams import diagrams
from statemachine_engine.storage import audit
from statemachine_engine.storage.audit import Note

from .conftest import Installation

WORKER = """
metadata: {machine_name: my_worker}
initial_state: waiting
states: {waiting: {group: IDLE}, working: {group: BUSY}}
transitions:
  - {from: waiting, to: working, event: new_job}
  - {from: working, to: waiting, event: job_done}
"""
FOLDER = "docs/fsm-diagrams/my_worker"


@pytest.fixture
def project(bare: Installation, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """A folder with config/worker.yaml, where the command runs."""
    monkeypatch.chdir(bare.folder)
    write(bare, "config/worker.yaml", WORKER)
    return bare


def write(project: Installation, name: str, text: str) -> None:
    path = project.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def draw(project: Installation, *args: str) -> Result:
    return CliRunner().invoke(diagrams, args, env=project.environ, prog_name="statemachine-diagrams")


def files(project: Installation, below: str = "docs") -> list[str]:
    root = project.folder
    return sorted(str(path.relative_to(root)) for path in (root / below).rglob("*") if path.is_file())


def test_it_writes_the_page_and_the_drawings_into_the_machines_folder(project: Installation) -> None:
    result = draw(project, "config/worker.yaml")

    names = ["BUSY.mermaid", "IDLE.mermaid", "main.mermaid", "metadata.json", "my_worker_fsm.md"]
    assert files(project) == [f"{FOLDER}/{name}" for name in names]
    assert result.exit_code == 0
    assert f"Wrote {FOLDER}/main.mermaid" in result.stdout
    assert "`config/worker.yaml`" in (project.folder / FOLDER / "my_worker_fsm.md").read_text()


@pytest.mark.parametrize("command", ["statemachine-diagrams", "statemachine-fsm"])
def test_both_names_are_installed(project: Installation, command: str) -> None:
    done = project.shell(command, "config/worker.yaml")

    assert (done.returncode, done.stderr) == (0, "")
    assert len(files(project)) == 5


def test_the_same_configuration_makes_the_same_bytes_however_it_is_named(project: Installation) -> None:
    draw(project, "config/worker.yaml")
    first = {name: (project.folder / name).read_bytes() for name in files(project)}

    for name in ("./config/../config/worker.yaml", str(project.folder / "config/worker.yaml")):
        result = draw(project, name)
        assert result.stdout.count("Unchanged") == 5
    assert {name: (project.folder / name).read_bytes() for name in files(project)} == first


def test_each_format_can_be_written_alone(project: Installation) -> None:
    draw(project, "config/worker.yaml", "--old-format-only")
    assert files(project) == [f"{FOLDER}/my_worker_fsm.md"]

    draw(project, "config/worker.yaml", "--new-format-only", "--output-dir", "pictures")
    assert "pictures/my_worker/main.mermaid" in files(project, "pictures")
    assert "pictures/my_worker/my_worker_fsm.md" not in files(project, "pictures")


def test_both_formats_alone_are_nothing(project: Installation) -> None:
    result = draw(project, "config/worker.yaml", "--old-format-only", "--new-format-only")

    assert result.exit_code == 0
    assert files(project) == []


def test_the_page_goes_where_out_says(project: Installation) -> None:
    draw(project, "config/worker.yaml", "worker.md")

    assert (project.folder / "worker.md").read_text().startswith("# my\\_worker\n")
    assert f"{FOLDER}/main.mermaid" in files(project)
    assert f"{FOLDER}/my_worker_fsm.md" not in files(project)


def test_several_configurations_never_overwrite_each_other(project: Installation) -> None:
    write(project, "config/zebra.yaml", WORKER.replace("my_worker", "zebra"))
    assert draw(project, "config/worker.yaml", "config/zebra.yaml").exit_code == 0
    assert (project.folder / "config/zebra.yaml").read_text().startswith("\nmetadata")
    assert "docs/fsm-diagrams/zebra/main.mermaid" in files(project)

    write(project, "config/twin.yaml", WORKER)
    twice = draw(project, "config/worker.yaml", "config/twin.yaml")
    assert twice.exit_code == 1
    assert "both called my_worker" in twice.stderr


@pytest.mark.parametrize(
    ("fmt", "begin"),
    [("mermaid", "stateDiagram-v2\n"), ("dot", "digraph "), ("svg", "<svg "), ("ascii", "my_worker\n")],
)
def test_one_picture_goes_to_the_terminal_or_a_file(project: Installation, fmt: str, begin: str) -> None:
    printed = draw(project, "config/worker.yaml", "--format", fmt)
    draw(project, "config/worker.yaml", f"picture.{fmt}", "--format", fmt)

    assert printed.stdout.startswith(begin)
    assert (project.folder / f"picture.{fmt}").read_text() == printed.stdout
    assert files(project) == []


def test_check_says_which_files_are_missing_stale_or_left_over(project: Installation) -> None:
    missing = draw(project, "config/worker.yaml", "--check")
    assert (missing.exit_code, missing.stdout.count("Missing")) == (1, 5)
    assert files(project) == []

    draw(project, "config/worker.yaml")
    fresh = draw(project, "config/worker.yaml", "--check")
    assert (fresh.exit_code, fresh.output) == (0, "")

    write(project, "config/worker.yaml", WORKER.replace("BUSY", "IDLE").replace("new_job", "go"))
    stale = draw(project, "config/worker.yaml", "--check")
    assert stale.exit_code == 1
    assert f"Stale {FOLDER}/main.mermaid" in stale.stdout
    assert f"Left over {FOLDER}/BUSY.mermaid" in stale.stdout

    draw(project, "config/worker.yaml")
    assert f"{FOLDER}/BUSY.mermaid" not in files(project)


def test_check_compares_one_picture_too(project: Installation) -> None:
    draw(project, "config/worker.yaml", "worker.svg", "--format", "svg")
    assert draw(project, "config/worker.yaml", "worker.svg", "--format", "svg", "--check").exit_code == 0

    write(project, "worker.svg", "<svg/>")
    assert draw(project, "config/worker.yaml", "worker.svg", "--format", "svg", "--check").exit_code == 1
    assert draw(project, "config/worker.yaml", "--format", "svg", "--check").exit_code == 2


def test_counts_come_from_the_database(project: Installation) -> None:
    record(project, "my_worker", "waiting", "working", "new_job", times=3)
    record(project, "other", "waiting", "working", "new_job", times=2)
    record(project, "my_worker", "waiting", "gone", "new_job", times=1)

    counted = draw(project, "config/worker.yaml", "--format", "mermaid", "--counts")
    assert "waiting --> working : new_job ×3" in counted.stdout
    assert "working --> waiting : job_done ×0" in counted.stdout
    assert "1 recorded transitions are not in config/worker.yaml any more" in counted.stderr

    other = draw(project, "config/worker.yaml", "--format", "ascii", "--history", project.url, "--machine", "other")
    assert "new_job x2 --> working" in other.stdout


def test_counts_of_a_machine_that_never_ran_are_zero_with_a_message(project: Installation) -> None:
    project.open()

    result = draw(project, "config/worker.yaml", "--format", "ascii", "--counts", "--hours", "1")

    assert "new_job x0 --> working" in result.stdout
    assert "No transitions of 'my_worker' found in" in result.stderr


def test_counts_need_a_database_that_is_there(project: Installation) -> None:
    result = draw(project, "config/worker.yaml", "--counts")

    assert result.exit_code == 1
    assert not (project.folder / "data").exists()


def test_the_name_given_is_the_folders(project: Installation) -> None:
    draw(project, "config/worker.yaml", "--machine-name", "worker_7")

    metadata = json.loads((project.folder / "docs/fsm-diagrams/worker_7/metadata.json").read_text())
    assert (metadata["machine_name"], metadata["config_type"]) == ("worker_7", "worker")


@pytest.mark.parametrize("text", ["[1, 2]", "", "a: b: c", "initial_state: nowhere\nstates: [a]\ntransitions: []"])
def test_a_bad_configuration_is_a_message_and_exit_code_1(project: Installation, text: str) -> None:
    write(project, "bad.yaml", text)

    result = draw(project, "bad.yaml")

    assert result.exit_code == 1
    assert result.stderr.startswith("bad.yaml:1:")
    assert "Traceback" not in result.output


def test_a_missing_configuration_is_a_message_and_exit_code_1(project: Installation) -> None:
    result = draw(project, "nowhere.yaml")

    assert result.exit_code == 1
    assert "nowhere.yaml" in result.stderr


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["config/worker.yaml", "config/zebra.yaml", "out.md"],
        ["config/worker.yaml", "config/zebra.yaml", "--format", "dot"],
        ["config/worker.yaml", "--check", "--counts"],
        ["config/worker.yaml", "--machine", "other"],
        ["config/worker.yaml", "--format", "png"],
    ],
)
def test_what_makes_no_sense_is_a_usage_error(project: Installation, args: list[str]) -> None:
    assert draw(project, *args).exit_code == 2


def test_a_folder_that_cannot_be_written_is_said_in_one_line(project: Installation) -> None:
    write(project, "docs/fsm-diagrams", "a file")

    result = draw(project, "config/worker.yaml")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: cannot write docs/fsm-diagrams/")


# Helpers


def record(project: Installation, machine: str, source: str, target: str, event: str, *, times: int) -> None:
    step = {"from_state": source, "to_state": target, "event_trigger": event}
    audit.write(project.open(), [Note(machine, "state_change", step, 1000.0)] * times)


def test_help_has_an_example(tmp_path: Path) -> None:
    result = CliRunner().invoke(diagrams, ["--help"])

    assert "statemachine-diagrams config/worker.yaml" in result.stdout
