"""The outermost layer of the commands: one line for people, one exit code for scripts."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner, Result

from statemachine_engine.actors.errors import ConfigError, MachineError, Problem
from statemachine_engine.cli.program import Program, debug_option
from statemachine_engine.storage.errors import JobNotFound, MachineTaken


def run(error: BaseException, *args: str) -> Result:
    """Return the result of a command that raises `error`."""

    @click.command("tool", cls=Program)
    @debug_option("Show tracebacks.")
    def tool(debug: bool) -> None:
        raise error

    return CliRunner().invoke(tool, args, prog_name="tool")


def test_ctrl_c_while_the_options_are_read_is_an_interruption_too() -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    @click.command("tool", cls=Program)
    @click.option("--db", callback=interrupt)
    def tool(db: str) -> None:
        raise AssertionError

    result = CliRunner().invoke(tool)

    assert (result.exit_code, result.stderr.strip()) == (130, "")


@pytest.mark.parametrize(
    ("error", "exit_code", "line"),
    [
        (JobNotFound("j1"), 1, "Error: Job j1 not found (statemachine-db list shows the jobs)\n"),
        (MachineTaken("m", 42, "box"), 4, "Error: Machine m runs already: pid 42 on box\n"),
        (MachineError("no such thing"), 1, "Error: no such thing\n"),
        (ZeroDivisionError("by zero"), 1, "Error: ZeroDivisionError: by zero (--debug shows where)\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_an_exception_is_one_line_and_an_exit_code(error: BaseException, exit_code: int, line: str) -> None:
    result = run(error)

    assert (result.exit_code, result.stderr) == (exit_code, line)


def test_all_problems_of_a_configuration_are_printed_and_the_exit_code_is_2() -> None:
    problems = [Problem("first", "a.yaml", 3, 7), Problem("second", "a.yaml", 9, 1, hint="quote it")]

    result = run(ConfigError(problems))

    assert result.exit_code == 2
    assert result.stderr == "a.yaml:3:7: error: first\na.yaml:9:1: error: second\n  hint: quote it\n"


def test_of_a_flood_of_problems_each_file_shows_the_first_and_counts_the_rest() -> None:
    flood = [Problem("bad", "a.yaml", line) for line in range(1, 100_001)]

    result = run(ConfigError([*flood, Problem("bad", "b.yaml")]))

    *shown, last, more, other = result.stderr.splitlines()
    assert (len(shown), last, more) == (49, "a.yaml:50:1: error: bad", "a.yaml: and 99950 more")
    assert other == "b.yaml:1:1: error: bad"


def test_debug_adds_the_traceback() -> None:
    result = run(JobNotFound("j1"), "--debug")

    assert result.exit_code == 1
    assert result.stderr.startswith("Traceback")
    assert "Error: Job j1 not found" in result.stderr.splitlines()[-1]


def test_help_that_cannot_be_written_is_one_line() -> None:
    program = "from statemachine_engine.cli.db.main import main; main()"
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-c", program, "list", "--help"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "No space left on device" in done.stderr


def test_a_usage_error_is_one_line_that_names_where_help_is() -> None:
    result = run(ZeroDivisionError(), "--nonsense")

    assert result.exit_code == 2
    assert result.stderr == "Error: No such option '--nonsense' (see 'tool --help')\n"
