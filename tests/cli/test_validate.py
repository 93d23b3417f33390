"""`statemachine-validate` and `statemachine-lint` say what is wrong where, and end with the right code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from statemachine_engine.actors.lint.catalogue import rules
from statemachine_engine.cli.validate import lint, validate
from tests.cli.conftest import Installation

ROOT = Path(__file__).parents[2]
BOTH = pytest.mark.parametrize("command", [validate, lint], ids=["validate", "lint"])
GOOD = "initial_state: a\nfinal: [b]\ntransitions:\n  - {from: a, to: b, event: go}\n"
WARNING = GOOD + "descripton: typo\n"
BAD = GOOD.replace("event: go", "event: yes")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three files in the current folder, so that their names are short."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("good", GOOD), ("warning", WARNING), ("bad", BAD)):
        Path(f"{name}.yaml").write_text(text)


def call(command: click.Command, *args: str, color: bool = False) -> Result:
    return CliRunner().invoke(command, args, color=color, prog_name=f"statemachine-{command.name}")


def parsed(command: click.Command, *args: str) -> Any:
    return json.loads(call(command, *args).stdout)


# Layouts


def test_validate_keeps_the_layout_of_the_older_engines() -> None:
    result = call(validate, "good.yaml", "bad.yaml", "warning.yaml")

    assert result.stdout == (
        "======================================================================\n"
        "State Machine Configuration Validation\n"
        "======================================================================\n"
        "\n"
        "✅ good.yaml: All validations passed\n"
        "\n"
        "❌ bad.yaml\n"
        "  [ERROR] bad.yaml:4:29: the event of a transition must be text, not the boolean 'yes' (E011)\n"
        "      4 |   - {from: a, to: b, event: yes}\n"
        "        |                             ^\n"
        '    💡 quote it: "yes"\n'
        "\n"
        "⚠️  warning.yaml\n"
        "  [WARNING] warning.yaml:5:1: a machine has no key 'descripton'; it is ignored (W004)\n"
        "      5 | descripton: typo\n"
        "        | ^\n"
        "    💡 did you mean 'description'?\n"
        "\n"
        "📊 Summary:\n"
        "  Files: 3\n"
        "  Errors: 1\n"
        "  Warnings: 1\n"
    )


def test_lint_keeps_its_own() -> None:
    result = call(lint, "good.yaml", "bad.yaml", "warning.yaml")

    assert result.stdout == (
        "bad.yaml\n"
        "  ✗ [E011] the event of a transition must be text, not the boolean 'yes'\n"
        "    bad.yaml:4:29\n"
        "      4 |   - {from: a, to: b, event: yes}\n"
        "        |                             ^\n"
        '    → quote it: "yes"\n'
        "\n"
        "warning.yaml\n"
        "  ⚠ [W004] a machine has no key 'descripton'; it is ignored\n"
        "    warning.yaml:5:1\n"
        "      5 | descripton: typo\n"
        "        | ^\n"
        "    → did you mean 'description'?\n"
        "\n"
        "1 errors, 1 warnings\n"
    )


def test_the_state_and_the_event_are_named() -> None:
    Path("lost.yaml").write_text(GOOD + "actions:\n  a:\n    - {type: log, message: x, success: gone}\n")

    assert "\n    State: a, Event: gone\n" in call(validate, "lost.yaml").stdout
    assert parsed(lint, "lost.yaml", "--format", "json")[0]["issues"][0]["context"] == "State: a, Event: gone"


def test_the_caret_stands_right_in_long_lines_and_behind_tabs() -> None:
    Path("long.yaml").write_text(BAD.replace("{from", "{description: '" + "x" * 300 + "', from"))
    lines = call(validate, "long.yaml").stdout.splitlines()
    (caret,) = (number for number, line in enumerate(lines) if line.strip().startswith("|"))

    assert len(lines[caret - 1]) < 120
    assert lines[caret - 1][lines[caret].index("^") :].startswith("yes}")


def test_control_characters_of_a_file_do_not_reach_the_terminal() -> None:
    Path("evil.yaml").write_text(GOOD + 'metadata: {machine_name: "a\\e[31m/b"} # \u009b31m\n')

    assert "\u009b" not in call(validate, "evil.yaml").stdout
    assert "\x1b" not in call(validate, "evil.yaml").stdout


@BOTH
def test_a_terminal_gets_colours_by_default(command: click.Command) -> None:
    assert "\x1b[31m" in call(command, "bad.yaml", color=True).stdout
    assert "\x1b[" not in call(command, "bad.yaml", "--no-color", color=True).stdout
    assert "\x1b[" not in call(command, "bad.yaml").stdout


# Exit codes


@BOTH
@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["good.yaml"], 0),
        (["warning.yaml"], 0),
        (["bad.yaml", "good.yaml"], 1),
        (["nowhere.yaml"], 1),
        (["--strict", "good.yaml"], 0),
        (["--strict", "warning.yaml"], 2),
        (["--strict", "warning.yaml", "bad.yaml"], 1),
        (["--strict", "--quiet", "warning.yaml"], 2),
        (["--strict", "--select", "E", "warning.yaml"], 0),
        (["--strict", "--select", "W004", "warning.yaml", "bad.yaml"], 2),
        (["--strict", "--select", "W004", "--select", "E011", "bad.yaml"], 1),
        (["--strict", "--format", "json", "warning.yaml"], 2),
        (["--format", "sarif", "bad.yaml"], 1),
        ([], 2),
        (["--select", "E999", "good.yaml"], 2),
        (["--actions-dir", "nowhere", "good.yaml"], 2),
    ],
)
def test_the_exit_code_is_right(command: click.Command, args: list[str], code: int) -> None:
    assert call(command, *args).exit_code == code


@BOTH
def test_wrong_usage_is_one_line_with_the_remedy(command: click.Command) -> None:
    assert call(command).stderr == (
        f"Error: name the files to check, such as config/*.yaml (see 'statemachine-{command.name} --help')\n"
    )
    assert "there is no code X1; all: E000, E001" in call(command, "--select", "X1", "good.yaml").stderr


@BOTH
def test_quiet_says_nothing_of_warnings_unless_they_fail_the_command(command: click.Command) -> None:
    assert call(command, "--quiet", "good.yaml", "warning.yaml").output == ""
    assert "W004" in call(command, "--quiet", "--strict", "warning.yaml").stdout
    assert "E011" in call(command, "--quiet", "bad.yaml").stdout


# Selection and custom actions


def test_only_the_selected_codes_are_shown_and_counted() -> None:
    (report,) = parsed(lint, "warning.yaml", "--select", "w004,E", "--format", "json")
    assert (report["error_count"], report["warning_count"]) == (0, 1)

    (report,) = parsed(lint, "warning.yaml", "--select", "E", "--format", "json")
    assert (report["issues"], report["warning_count"]) == ([], 0)


def test_custom_actions_are_found_where_the_flag_says() -> None:
    folder = str(ROOT / "examples" / "custom_actions" / "actions")
    example = str(ROOT / "examples" / "custom_actions" / "config" / "reader.yaml")

    assert call(validate, example).exit_code == 1
    assert call(validate, "--strict", "--actions-dir", folder, example).exit_code == 0


# Forms for programs


@BOTH
def test_json_has_the_shape_of_the_older_linter_and_places(command: click.Command) -> None:
    assert parsed(command, "good.yaml", "bad.yaml", "--format", "json") == [
        {"file": "good.yaml", "issues": [], "error_count": 0, "warning_count": 0},
        {
            "file": "bad.yaml",
            "issues": [
                {
                    "code": "E011",
                    "severity": "error",
                    "message": "the event of a transition must be text, not the boolean 'yes'",
                    "file": "bad.yaml",
                    "line": 4,
                    "column": 29,
                    "context": None,
                    "fix": 'quote it: "yes"',
                }
            ],
            "error_count": 1,
            "warning_count": 0,
        },
    ]


def test_sarif_names_rules_files_and_places() -> None:
    Path("with space.yaml").write_text(BAD)
    log = parsed(lint, "with space.yaml", "warning.yaml", "--format", "sarif")
    (run,) = log["runs"]
    first, second = run["results"]

    assert log["version"] == "2.1.0"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == list(rules())
    assert run["tool"]["driver"]["rules"][first["ruleIndex"]]["id"] == first["ruleId"] == "E011"
    assert (first["level"], second["level"]) == ("error", "warning")
    assert first["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "with%20space.yaml"},
                "region": {"startLine": 4, "startColumn": 29},
            }
        }
    ]
    assert first["message"]["text"].endswith('quote it: "yes"')


# What a code means, and the schema


@BOTH
@pytest.mark.parametrize("code", rules())
def test_every_code_is_explained(command: click.Command, code: str) -> None:
    result = call(command, "--explain", code.lower())

    assert result.exit_code == 0
    assert result.stdout.startswith(f"{code} ({rules()[code].severity}): {rules()[code].title}\n")


def test_the_explanations_are_those_of_the_documentation() -> None:
    page = (ROOT / "docs" / "validate.md").read_text(encoding="utf-8")
    result = call(validate, "--explain", "all", "--format", "json")

    for rule in json.loads(result.stdout):
        assert f"### {rule['code']} {rule['title']}\n\n{rule['text']}\n" in page
        assert rule["wrong"] in page
    assert page.count("\n### ") == len(json.loads(result.stdout))


def test_an_unknown_code_is_not_explained() -> None:
    assert call(validate, "--explain", "E998").exit_code == 2


@BOTH
def test_the_schema_is_printed(command: click.Command) -> None:
    assert parsed(command, "--schema")["properties"]["initial_state"]["description"]


# As installed


@pytest.mark.parametrize("name", ["statemachine-validate", "statemachine-lint"])
def test_it_runs_as_a_command_without_touching_the_folder(name: str, place: Installation) -> None:
    (place.folder / "only").mkdir()
    path = place.folder / "only" / "worker.yaml"
    path.write_text(BAD)
    result = place.shell(name, str(path))

    assert (result.returncode, result.stderr) == (1, "")
    assert f"{path}:4:29" in result.stdout
    assert [entry.name for entry in path.parent.iterdir()] == ["worker.yaml"]


def test_all_files_of_the_examples_pass_strictly() -> None:
    for example in sorted((ROOT / "examples").iterdir()):
        actions = ["--actions-dir", str(example / "actions")] if (example / "actions").is_dir() else []
        files = [str(path) for path in sorted(example.glob("config/*.yaml"))]
        assert not files or call(validate, "--strict", *actions, *files).exit_code == 0


@BOTH
def test_of_a_flood_of_findings_the_first_are_shown_and_the_rest_counted(command: click.Command) -> None:
    Path("flood.yaml").write_text(GOOD + "".join(f"kye{number}: 1\n" for number in range(70)))

    result = call(command, "flood.yaml")

    assert result.stdout.count("it is ignored") == 50
    assert "  and 20 more: --format json has them all\n" in result.stdout
    assert "70" in result.stdout  # the sum of all
    assert len(parsed(command, "--format", "json", "flood.yaml")[0]["issues"]) == 70
