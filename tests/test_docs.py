"""Test the documentation: its configurations load, its commands and snippets run, and its tables are complete.

How a fenced block is treated, in README.md and docs/*.md:

- `sh` blocks run in their order in one scratch folder for each document; a line that ends in `&` goes on running.
- `yaml` and `python` blocks whose first line names a file (`# my_worker.yaml`) are saved there. Every `yaml` block
  parses, whole machines load without a warning, and built-in actions are given keys that they have.
- `python run` blocks are run. `text` blocks are not.
- Between `<!-- made: … -->` marks stands what scripts/docs.py makes of the code; it is current.
- `<!-- expect: text -->` waits until something that runs has printed the text;
  `<!-- expect: command => text -->` until the command prints it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from statemachine_engine.actors.actions import registry
from statemachine_engine.actors.definition import loader
from statemachine_engine.actors.definition.keys import ACTION
from statemachine_engine.storage.engine.database import Database
from tests.support.project import Project
from tests.support.until import until

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTS = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "examples").glob("*/README.md"))]
ACTIONS_PAGE = (ROOT / "docs" / "actions.md").read_text(encoding="utf-8")
SOURCES = [path for room in ("actors", "storage", "web", "cli") for path in (ROOT / room).rglob("*.py")]


class Block(NamedTuple):
    """A fenced block, or an expectation (`kind` is "expect")."""

    kind: str
    text: str
    line: int


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```([a-z][^\n]*)\n(.*?)^```$|^<!-- expect: (.*?) -->$", text, re.MULTILINE | re.DOTALL):
        kind, body, expected = match.groups()
        yield Block(kind or "expect", expected or body, text.count("\n", 0, match.start()) + 1)


YAML_BLOCKS = [
    pytest.param(block, id=f"{page.name}:{block.line}")
    for page in PAGES
    for block in blocks_of(page)
    if block.kind == "yaml"
]
MESSAGE_TABLE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8").partition("## Messages")[2]
MESSAGES = [
    message
    for row in re.findall(r"^\| (`.*?) \|", MESSAGE_TABLE, re.MULTILINE)
    for message in row.strip("`").split("`, `")
]
#: pages about a project whose database is there
IN_USE = ("backup.md", "data-retention.md", "monitor.md", "postgresql.md", "troubleshooting.md")
RUN_PAGES = [page for page in PAGES if any(block.kind in ("sh", "python run") for block in blocks_of(page))]


@pytest.mark.parametrize("page", RUN_PAGES, ids=lambda page: page.name)
def test_the_commands_and_snippets_of_a_page_run_in_their_order(page: Path, tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.env["HOME"] = str(tmp_path)
    if page.name in IN_USE:
        Database.open(tmp_path / "data" / "pipeline.db").close()
    try:
        for block in blocks_of(page):
            perform(block, project)
    finally:
        project.close()


@pytest.mark.parametrize("block", YAML_BLOCKS)
def test_a_configuration_loads_without_a_warning(block: Block) -> None:
    config = yaml.safe_load(block.text)
    if isinstance(config, dict) and "transitions" in config:
        assert not loader.load_text(block.text, known_keys=registry.keys_of).warnings
    for action in actions_in(config):
        keys = registry.keys_of(action["type"])
        assert keys is None or set(action) <= {*keys, *ACTION}


@pytest.mark.parametrize("action", sorted(registry.builtin_types()))
def test_an_action_is_in_the_reference_and_in_the_overview(action: str) -> None:
    assert f"\n## {action}\n" in ACTIONS_PAGE
    assert f"<!-- made: keys {action} -->" in ACTIONS_PAGE
    assert f"`{action}`" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_what_is_made_from_the_code_is_current() -> None:
    check = [sys.executable, ROOT / "scripts" / "docs.py", "--check"]
    done = subprocess.run(check, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"({page.name})" not in index] == ["README.md"]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_in_troubleshooting_is_one_of_ours(message: str) -> None:
    parts = [part for part in re.split("…", message) if len(part.strip()) > 3]
    assert parts
    assert [part for part in parts if part not in texts()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", document.read_text(encoding="utf-8")):
        name, _, heading = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.exists(), target
        assert not heading or heading in headings_of(path), target


# Helpers


@cache
def texts() -> str:
    """Return the source texts that may contain messages, without placeholders, with the pieces of a literal joined."""
    joined = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    return re.sub(r"\{[^{}]*\}|%[sdgr]", "…", re.sub(r'"\s*\n\s*f?"', "", joined))


def perform(block: Block, project: Project) -> None:
    """Do with a block what a reader would do with it."""
    if block.kind == "expect":
        expect(block.text, project)
    elif block.kind == "python run":
        subprocess.run([sys.executable, "-c", block.text], cwd=project.folder, env=project.env, timeout=60, check=True)
    elif block.kind == "sh":
        run(block.text, project)
    elif block.kind in ("yaml", "python") and (named := re.match(r"# ([\w./-]+\.(?:yaml|py))\n", block.text)):
        path = project.folder / named[1]
        path.parent.mkdir(exist_ok=True)
        path.write_text(block.text, encoding="utf-8")


def run(script: str, project: Project) -> None:
    """Lines that end in & are started, everything between them is run to its end."""
    waiting: list[str] = []
    for line in script.splitlines():
        if line.endswith("&"):
            project.shell("\n".join(waiting))
            project.start(line.removesuffix("&"))
            waiting = []
        else:
            waiting.append(line)
    record(project, project.shell("\n".join(waiting)))


def record(project: Project, said: str) -> None:
    with (project.folder / "said.log").open("a", encoding="utf-8") as log:
        log.write(said)


def expect(text: str, project: Project) -> None:
    command, arrow, wanted = text.partition(" => ")
    if arrow:
        until(lambda: wanted in project.shell(command), timeout_s=30)
    else:
        until(lambda: text in project.log() + (project.folder / "said.log").read_text(), timeout_s=30)


def actions_in(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping with a `type`, at any depth."""
    if isinstance(config, dict):
        if isinstance(config.get("type"), str):
            yield config
        else:
            for value in config.values():
                yield from actions_in(value)
    elif isinstance(config, list):
        for item in config:
            yield from actions_in(item)


def headings_of(path: Path) -> set[str]:
    """Return the anchors that GitHub makes of a document's headings."""
    titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
