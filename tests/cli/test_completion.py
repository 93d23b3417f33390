"""The tab key: bash completes every command with the script that docs/cli-reference.md installs."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SCRIPT = """
PATH={bin}:$PATH
source <(env {variable}=bash_source {program})
COMP_WORDS=({program} {words}) COMP_CWORD={at}
_{function}_completion {program}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def programs() -> list[str]:
    cfg = configparser.ConfigParser()
    cfg.read(ROOT / "setup.cfg")
    return [line.split(" = ")[0] for line in cfg["options.entry_points"]["console_scripts"].split("\n") if line]


def completed(program: str, *words: str) -> list[str]:
    """Return what bash offers for the last word."""
    function = program.replace("-", "_")
    script = SCRIPT.format(
        bin=BIN,
        program=program,
        function=function,
        variable=f"_{function.upper()}_COMPLETE",
        words=" ".join(f"'{word}'" for word in words),
        at=len(words),
    )
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("program", programs())
def test_bash_completes_the_options_of_a_command(program: str) -> None:
    assert completed(program, "--hel") == ["--help"]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("add-jo",), ["add-job", "add-jobs"]),
        (("list", "--sta"), ["--status"]),
        (("list", "--status", "p"), ["pending", "processing"]),
    ],
)
def test_bash_completes_subcommands_options_and_values(words: tuple[str, ...], offered: list[str]) -> None:
    assert completed("statemachine-db", *words) == offered


def test_the_documentation_installs_it_for_every_command() -> None:
    page = (ROOT / "docs" / "cli-reference.md").read_text(encoding="utf-8").partition("## Completion")[2]
    loop = page.partition("for name in")[2].partition(";")[0]

    assert sorted(loop.replace("\\", " ").split()) == sorted(programs())
