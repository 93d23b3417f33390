"""The linter finds what is wrong at its place, and nothing in what is right."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statemachine_engine.actors.lint.catalogue import rules
from statemachine_engine.actors.lint.examine import examine, examine_text
from statemachine_engine.actors.lint.finding import Report
from tests.actors import test_seed_snippets as seed
from tests.actors.definition import test_any_config as odd
from tests.actors.lint import corpus
from tests.actors.lint.corpus import Entry

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted(ROOT.glob("examples/*/config/*.yaml"))
SEED = ("QUICK_START", "LOG", "BASH", "RELAY", "CUSTOM", "COMBINED", "WORKER", "CONTROLLER")
BROKEN = list(corpus.broken())
GOOD = list(corpus.good())


def whole(snippet: str) -> str:
    """Complete a partial snippet with the line that makes it a machine."""
    if "initial_state" in snippet:
        return snippet
    state = re.search(r"(?:actions:\n +|from: )(\w+)", snippet)
    assert state is not None
    return f"initial_state: {state[1]}\n{snippet}"


def said(report: Report) -> list[str]:
    return [f"{f.code} {f.line}:{f.column} {f.message}" for f in report.findings]


def test_the_corpora_are_large() -> None:
    assert len(BROKEN) >= 60
    assert len(GOOD) + len(EXAMPLES) + len(SEED) >= 25


@pytest.mark.parametrize("entry", BROKEN, ids=lambda entry: entry.title)
def test_a_broken_machine_has_exactly_these_codes_at_these_places(entry: Entry) -> None:
    found = examine_text(entry.text, "worker.yaml").findings

    assert [(f.code, f.line, f.column) for f in found] == list(entry.findings)


@pytest.mark.parametrize("entry", GOOD, ids=lambda entry: entry.title)
def test_a_good_machine_has_no_findings(entry: Entry) -> None:
    assert said(examine_text(entry.text, "worker.yaml")) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parts[-3]}/{path.name}")
def test_an_example_has_no_findings(path: Path) -> None:
    actions = path.parent.parent / "actions"

    assert said(examine(path, actions if actions.is_dir() else None)) == []


@pytest.mark.parametrize("name", SEED)
def test_the_snippets_of_the_seed_have_no_findings(name: str, tmp_path: Path) -> None:
    for action in ("custom_extract", "multi_step"):
        custom(tmp_path, action)

    assert said(examine_text(whole(getattr(seed, name)), "worker.yaml", tmp_path)) == []


@pytest.mark.parametrize("code", [code for code, rule in rules().items() if rule.wrong])
def test_the_example_of_a_code_has_that_code_and_no_other(code: str) -> None:
    found = examine_text(rules()[code].wrong, "worker.yaml").findings

    assert [finding.code for finding in found] == [code]


def test_every_code_is_in_the_corpus_and_every_code_of_the_corpus_is_explained() -> None:
    codes = {code for entry in BROKEN for code, _, _ in entry.findings}

    assert codes | {"E016"} == set(rules())


# Custom actions


def custom(folder: Path, name: str, body: str = "", result: str = "None") -> None:
    title = "".join(part.capitalize() for part in name.split("_"))
    (folder / f"{name}_action.py").write_text(
        "from statemachine_engine.actions import BaseAction\n"
        f"class {title}Action(BaseAction):\n{body}\n    def execute(self, context):\n        return {result}\n"
    )


MACHINE = """
initial_state: a
final: [b]
transitions:
  - {from: a, to: b, event: go}
actions:
  a:
    - {type: fetch, success: go, url: x}
    - {type: log, message: "{body} {else}"}
"""


def test_a_custom_action_that_declares_nothing_may_do_anything(tmp_path: Path) -> None:
    custom(tmp_path, "fetch")

    assert said(examine_text(MACHINE.replace("success: go, ", ""), "x.yaml", tmp_path)) == []


def test_a_custom_actions_events_are_checked_where_it_declares_them(tmp_path: Path) -> None:
    custom(tmp_path, "fetch", '    events = {"success": "fetched", "missing": "not_there"}')
    report = examine_text(MACHINE.replace("success: go, ", ""), "x.yaml", tmp_path)

    assert [(f.code, f.event) for f in report.findings] == [("W011", "fetched")]
    assert "'fetched' and 'not_there'" in report.findings[0].message


def test_a_custom_action_may_declare_just_the_names_of_its_events(tmp_path: Path) -> None:
    custom(tmp_path, "fetch", '    events = ("go", "gone")')
    report = examine_text(MACHINE.replace("success: go, ", ""), "x.yaml", tmp_path)

    assert [(f.code, f.event) for f in report.findings] == [("W011", "gone")]


def test_a_custom_actions_keys_are_checked_where_it_declares_them(tmp_path: Path) -> None:
    custom(tmp_path, "fetch", '    keys = {"uri": "where from"}\n    required_keys = ("uri",)')
    report = examine_text(MACHINE, "x.yaml", tmp_path)

    assert [(f.code, f.line) for f in report.findings] == [("E010", 8), ("W004", 8)]


def test_a_custom_action_that_replaces_a_built_in_one_is_not_checked_as_that_one(tmp_path: Path) -> None:
    custom(tmp_path, "bash")

    assert said(examine_text(MACHINE.replace("type: fetch", "type: bash"), "x.yaml", tmp_path)) == []


def test_a_custom_action_that_cannot_be_imported_is_reported_with_its_error(tmp_path: Path) -> None:
    (tmp_path / "fetch_action.py").write_text("import no_such_module_anywhere\n")
    (finding,) = examine_text(MACHINE, "x.yaml", tmp_path).only({"E008"}).findings

    assert "no_such_module_anywhere" in finding.message
    assert str(tmp_path / "fetch_action.py:1") in (finding.hint or "")


def test_the_file_may_name_the_folder_of_its_actions(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    custom(tmp_path / "own", "fetch")
    path = tmp_path / "worker.yaml"
    path.write_text("actions_root: own\n" + MACHINE)

    assert said(examine(path)) == []


def test_a_misspelt_action_gets_a_suggestion_and_an_unknown_one_a_hint() -> None:
    hints = [
        examine_text(MACHINE.replace("fetch", kind), "x.yaml").only({"E008"}).findings[0].hint
        for kind in ("bsh", "fetch")
    ]

    where = "--actions-dir DIR says where {}_action.py is"
    assert hints == [f"did you mean 'bash'? {where.format('bsh')}", where.format("fetch")]


# Files


def test_a_missing_file_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "worker.yaml").touch()
    (finding,) = examine(tmp_path / "woker.yaml").findings

    assert (finding.code, finding.line, finding.hint) == ("E016", 1, "did you mean 'worker.yaml'?")


def test_a_file_that_is_not_utf_8_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "worker.yaml").write_bytes(b"initial_state: a\nname: \xff\n")
    (finding,) = examine(tmp_path / "worker.yaml").findings

    assert (finding.code, finding.line, finding.column) == ("E016", 2, 7)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(odd.edits)
def test_a_damaged_file_breaks_no_check(changes: list[tuple[int, int, str]]) -> None:
    text = odd.WHOLE
    for start, length, piece in changes:
        text = text[:start] + piece + text[start + length :]

    assert all(finding.code in rules() for finding in examine_text(text).findings)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(odd.keys, odd.values, max_size=8))
def test_random_data_breaks_no_check(config: dict[str, Any]) -> None:
    text = yaml.safe_dump({"initial_state": "waiting", "states": ["waiting", "working"], **config})

    assert all(finding.code in rules() for finding in examine_text(text).findings)


@pytest.mark.parametrize("text", ["[" * 100_000, "x-a: &a [*a]", "a: b: c", "\ufeffinitial_state: a"])
def test_random_text_breaks_no_check(text: str) -> None:
    examine_text(text)


def test_findings_come_in_the_order_of_the_lines_on_every_run() -> None:
    text = (ROOT / "examples/simple_worker/config/worker.yaml").read_text().replace("job_done", "job_dne", 1)
    program = f"from {examine_text.__module__} import examine_text; print(examine_text({text!r}).findings)"
    runs = {subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout for _ in range(3)}

    places = [(f.line, f.column) for f in examine_text(text).findings]
    assert len(runs) == 1
    assert places == sorted(places)
    assert places


def test_it_needs_neither_database_nor_actors() -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from statemachine_engine.cli import lint_json, lint_text, validate\n"
        "from statemachine_engine.actors.lint import json_schema\n"
        "from statemachine_engine.actors.lint.examine import examine\n"
        f"examine(Path({str(EXAMPLES[0])!r}))\n"
        "print([name for name in ('peewee', 'pykka', 'flask', 'rich', 'psycopg') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert run.stdout == "[]\n"
