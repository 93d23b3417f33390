"""Reading a manifest: its shapes, and every mistake with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from statemachine_engine.actors.errors import ConfigError
from statemachine_engine.actors.system.manifest import Manifest, Restart, check_configs
from statemachine_engine.actors.system.manifest_file import FILE_NAME, read_manifest

MACHINE = """
metadata: {machine_name: own_name}
initial_state: a
transitions: [{from: a, to: stopped, event: stop}]
"""

WHOLE = """\
project: images
db: data/images.db
actions_dir: actions
logs_dir: out/logs
processes: 2
grace: 1m30s
ports: {ui: 3005, websocket: 3006}
restart: {delay: 1s, crashes: 3, within: 2m}
machines:
  - config: w.yaml
    machine_name: worker
    instances: 2
    depends_on: [controller]
    initial_context: {speed: 3}
    restart: never
  - config: w.yaml
    machine_name: controller
  - config: w.yaml
    machine_name: by_hand
    start: manual
    depends_on: worker
hooks:
  pre_start: [./one, ./two]
  pre_stop: ./three
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "w.yaml").write_text(MACHINE)
    (tmp_path / "actions").mkdir()
    return tmp_path


def read(folder: Path, text: str) -> Manifest:
    (folder / FILE_NAME).write_text(text)
    return read_manifest(folder)


def mistakes(folder: Path, text: str) -> list[tuple[int, int, str]]:
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    assert all(problem.file.endswith(FILE_NAME) for problem in caught.value.problems)
    return [(problem.line, problem.column, problem.message) for problem in caught.value.problems]


def test_everything_that_a_manifest_may_say(folder: Path) -> None:
    manifest = read(folder, WHOLE)

    assert (manifest.project, manifest.processes, manifest.grace_s) == ("images", 2, 90.0)
    assert manifest.logs_dir == folder / "out" / "logs"
    assert manifest.ports == {"ui": 3005, "websocket": 3006}
    assert manifest.hooks == {"pre_start": ("./one", "./two"), "pre_stop": ("./three",)}
    assert [member.name for member in manifest.members] == ["controller", "worker_001", "worker_002", "by_hand"]
    controller, worker, _, by_hand = manifest.members
    assert worker.depends_on == ("controller",)
    assert worker.context == {"speed": 3}
    assert worker.actions_dir == folder / "actions"
    assert worker.restart == Restart("never", 1.0, 30.0, 3, 120.0)
    assert controller.restart == Restart("on-failure", 1.0, 30.0, 3, 120.0)
    assert (by_hand.auto, by_hand.depends_on) == (False, ("worker_001", "worker_002"))
    assert manifest.warnings == ()


def test_the_least_that_it_must_say(folder: Path) -> None:
    manifest = read(folder, "machines: [w.yaml]")

    assert (manifest.project, manifest.processes, manifest.grace_s) == (folder.name, 1, 10.0)
    assert [member.name for member in manifest.members] == ["own_name"]
    assert manifest.logs_dir == folder / "logs"


def test_machines_may_be_a_map_from_name_to_settings(folder: Path) -> None:
    manifest = read(folder, "machines: {a: {config: w.yaml}, b: w.yaml}")

    assert [(member.name, member.config.name) for member in manifest.members] == [("a", "w.yaml"), ("b", "w.yaml")]


def test_instances_are_meant_by_their_common_name_or_by_their_own(folder: Path) -> None:
    manifest = read(folder, WHOLE)

    assert [member.name for member in manifest.named("worker")] == ["worker_001", "worker_002"]
    assert [member.name for member in manifest.named("worker_002")] == ["worker_002"]
    assert manifest.named("nobody") == []


def test_the_machines_are_dealt_out_to_the_processes(folder: Path) -> None:
    assert read(folder, WHOLE).placement == {"controller": 1, "worker_001": 2, "worker_002": 1, "by_hand": 2}


MISTAKES: list[tuple[str, tuple[int, int, str]]] = [
    ("", (1, 1, "a manifest must be a mapping, not empty")),
    ("[a]", (1, 1, "a manifest must be a mapping, not a list")),
    ("machines: []", (1, 11, "a manifest needs 'machines'")),
    ("project: x", (1, 1, "a manifest needs 'machines'")),
    ("machines: 3", (1, 11, "machines must be a list, not the number '3'")),
    ("machines: [{machine_name: a}]", (1, 12, "a machine needs its 'config'")),
    ("machines: [[w.yaml]]", (1, 12, "a machine must be a mapping, not a list")),
    ("machines: {a: {config: w.yaml, machine_name: x}, a: w.yaml}", (1, 50, "")),
    ("machines: [w.yaml, w.yaml]", (1, 20, "two machines are called own_name")),
    ("machines:\n  - {config: w.yaml, depends_on: [x]}", (2, 35, "there is no machine 'x'; machines: own_name")),
    ("machines: [{config: w.yaml, start: later}]", (1, 36, "start must be auto or manual, not the text 'later'")),
    ("machines: [{config: w.yaml, instances: 0}]", (1, 40, "instances must be a whole number from 1")),
    ("machines: [{config: w.yaml, instances: 1.5}]", (1, 40, "instances must be a whole number from 1")),
    ("machines: [{config: w.yaml, machine_name: a/b}]", (1, 43, "machine name 'a/b' must not contain '/'")),
    ("machines: [{config: w.yaml, machine_name: no}]", (1, 43, "machine_name must be text, not the boolean 'no'")),
    ("machines: [{config: w.yaml, restart: maybe}]", (1, 38, "restart must be on-failure or always or never")),
    ("machines: [{config: w.yaml, initial_context: {config: 1}}]", (1, 47, "context key 'config' belongs")),
    ("machines: [{config: w.yaml, depends_on: own_name}]", (1, 12, "these depend on each other")),
    ("machines: [w.yaml]\nprocesses: 0", (2, 12, "processes must be a whole number from 1")),
    ("machines: [{config: w.yaml, instances: 10001}]", (1, 40, "instances must be a whole number from 1")),
    (f"machines: [{{config: w.yaml, machine_name: {'n' * 74}, instances: 2}}]", (1, 43, "is longer than 76 bytes")),
    (
        "machines: [{config: w.yaml, machine_name: x, instances: 2}, {config: w.yaml, machine_name: x}]",
        (1, 12, "x is a machine, and also the common name of x_001"),
    ),
    ("machines: [w.yaml]\nprocesses: 1001", (2, 12, "processes must be a whole number from 1")),
    ("machines: [w.yaml]\nports: {ui: 70000}", (2, 13, "port ui must be a whole number from 0")),
    ("machines: [w.yaml]\ngrace: soon", (2, 8, "grace must be a duration")),
    ("machines: [w.yaml]\nactions_dir: nowhere", (2, 14, "actions_dir 'nowhere': no such folder")),
    ("machines: [w.yaml]\nhooks: [a]", (2, 8, "hooks must be a mapping")),
    ("machines: [w.yaml]\ndb: 'sqlite:///:memory:'", (2, 5, "a database in memory cannot be shared")),
]  # fmt: skip


@pytest.mark.parametrize(("text", "mistake"), MISTAKES)
def test_a_mistake_is_reported_with_its_place(folder: Path, text: str, mistake: tuple[int, int, str]) -> None:
    line, column, message = mistake
    found = mistakes(folder, text)

    assert found[0][:2] == (line, column)
    assert message in found[0][2]


def test_all_mistakes_come_at_once(folder: Path) -> None:
    text = "processes: x\nmachines: [{config: w.yaml, start: x}, {config: w.yaml}]\ngrace: x"

    assert [line for line, _, _ in mistakes(folder, text)] == [1, 2, 2, 3]


def test_a_machine_that_waits_for_one_started_by_hand_could_never_start(folder: Path) -> None:
    text = "machines: {a: {config: w.yaml, depends_on: b}, b: {config: w.yaml, start: manual}}"

    assert "started by hand" in mistakes(folder, text)[0][2]


def test_an_unknown_key_is_a_warning_with_a_suggestion(folder: Path) -> None:
    manifest = read(folder, "machines: [{config: w.yaml, instance: 2}]\nlog_dir: x")

    assert [(problem.line, problem.hint) for problem in manifest.warnings] == [
        (2, "did you mean 'logs_dir'?"),
        (1, "did you mean 'instances'?"),
    ]


def test_the_mistakes_of_all_machine_files_come_at_once(folder: Path) -> None:
    (folder / "bad.yaml").write_text("initial_state: [a]")
    (folder / "worse.yaml").write_text("[")
    manifest = read(folder, "machines: [w.yaml, bad.yaml, worse.yaml, missing.yaml]")

    with pytest.raises(ConfigError) as caught:
        check_configs(manifest)

    files = {Path(problem.file).name for problem in caught.value.problems}
    assert files == {"bad.yaml", "worse.yaml", "missing.yaml"}


@pytest.mark.parametrize(
    ("written", "given", "environ", "url"),
    [
        (None, None, {}, "{folder}/data/pipeline.db"),
        ("x.db", None, {"STATEMACHINE_DB": "/e.db"}, "{folder}/x.db"),
        (None, None, {"STATEMACHINE_DB": "/e.db"}, "/e.db"),
        ("x.db", "/g.db", {}, "/g.db"),
        ("/abs/x.db", None, {}, "/abs/x.db"),
    ],
)
def test_the_database_is_the_same_from_every_folder(
    folder: Path, written: str | None, given: str | None, environ: dict[str, Any], url: str
) -> None:
    manifest = read(folder, "machines: [w.yaml]" + (f"\ndb: {written}" if written else ""))

    assert manifest.db_url(given, environ) == "sqlite:///" + url.format(folder=folder)


def test_a_server_is_named_by_its_url(folder: Path) -> None:
    manifest = read(folder, "machines: [w.yaml]\ndb: postgresql://host/name")

    assert manifest.db_url(None, {}) == "postgresql://host/name"
