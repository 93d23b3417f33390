"""The shell scripts that start a whole system: the repository's own, and the template for users' projects."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import ROOT, Project
from tests.support.until import until

MACHINE = """
initial_state: waiting
transitions: [{from: "*", to: stopped, event: stop}]
"""
MANIFEST = """
project: scripted
ports: {ui: 0, websocket: 0}
machines: {a: {config: "my config/a.yaml"}, b: {config: "my config/a.yaml", depends_on: a}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path)
    for folder in ("config", "my config"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.yaml").write_text(MACHINE)
    yield project
    project.close()


def test_start_system_sh_checks_draws_runs_and_ends_with_ctrl_c(project: Project) -> None:
    (project.folder / "statemachine-project.yaml").write_text(MANIFEST)
    process = project.start(f"{ROOT / 'scripts' / 'start-system.sh'} statemachine-project.yaml")
    project.until_logged("system scripted is up", timeout_s=60)

    assert [project.state(name) for name in ("a", "b")] == ["waiting", "waiting"]
    assert list((project.folder / "docs" / "fsm-diagrams").rglob("*.md"))
    until(lambda: "http://" in (project.folder / "logs" / "page.log").read_text())
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130


def test_start_system_sh_does_not_start_what_is_wrong(project: Project) -> None:
    (project.folder / "statemachine-project.yaml").write_text(MANIFEST)
    (project.folder / "my config" / "a.yaml").write_text("initial_state: [a]")

    said = project.shell(f"{ROOT / 'scripts' / 'start-system.sh'} statemachine-project.yaml", code=1)

    assert "a.yaml:1:16: error: " in said
    assert not (project.folder / "logs").exists()


def test_the_repositorys_own_manifest_is_in_order(project: Project) -> None:
    assert "3 machines" in project.shell(f"statemachine-system --manifest {ROOT} validate")


def test_the_template_runs_what_its_lists_say(project: Project) -> None:
    script = install(project, ["config/a.yaml"], ["config/a.yaml:one", "config/a.yaml:two"])

    project.shell(f"{script} --detach")
    try:
        assert [project.state(name) for name in ("one", "two")] == ["waiting", "waiting"]
        assert "two" in project.shell(f"{script} status")
    finally:
        project.shell(f"{script} down")
    assert list((project.folder / "docs" / "fsm-diagrams").rglob("*.md"))


def test_the_template_prefers_a_manifest(project: Project) -> None:
    (project.folder / "statemachine-project.yaml").write_text(MANIFEST)
    script = install(project, ["config/a.yaml"], ["config/a.yaml:one"])

    assert "scripted: 2 machines" in project.shell(f"{script} validate")


def test_the_template_manifest_is_in_order_and_so_is_what_its_comments_suggest(project: Project) -> None:
    for name in ("worker", "controller"):
        (project.folder / "config" / f"{name}.yaml").write_text(MACHINE)
    (project.folder / "actions").mkdir()
    manifest = project.folder / "statemachine-project.yaml"
    text = (ROOT / "templates" / "statemachine-project.yaml").read_text()

    manifest.write_text(text)
    plain = project.shell("statemachine-system validate")
    manifest.write_text(re.sub(r"^( *)# (?=( *[a-z_]+:|- config:)\s)", r"\1", text, flags=re.MULTILINE))
    whole = project.shell("statemachine-system validate")

    assert plain == "✅ my_project: 1 machine\n"
    assert whole == "✅ my_project: 4 machines\n"


def install(project: Project, configs: list[str], machines: list[str]) -> Path:
    """Install the template with its lists edited, as a user would."""
    script = project.folder / "start-system.sh"
    shutil.copy(ROOT / "templates" / "start-system.sh", script)
    text = script.read_text()
    text = text.replace("    config/worker.yaml\n", "".join(f"    {config}\n" for config in configs))
    text = text.replace('    "config/worker.yaml:my_worker"\n', "".join(f'    "{machine}"\n' for machine in machines))
    text = text.replace("UI_PORT=3001", "UI_PORT=0").replace("WEBSOCKET_PORT=3002", "WEBSOCKET_PORT=0")
    script.write_text(text)
    script.chmod(0o755)
    return script
