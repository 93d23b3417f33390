"""Tables for pipes and people, JSON for programs."""

from __future__ import annotations

import io
import json
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from statemachine_engine.cli.output import Column, cut, show, show_fields, text, whole_file

COLUMNS: list[Column] = [("Name", "name"), ("Double", lambda row: row["n"] * 2)]


class Terminal(io.StringIO):
    """A stream that calls itself a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_aligned_text(capsys: pytest.CaptureFixture[str]) -> None:
    show([{"name": "a", "n": 1}, {"name": "longer", "n": 21}], COLUMNS, fmt="table", empty="none")

    assert capsys.readouterr().out == "Name    Double\na       2\nlonger  42\n"


def test_wide_characters_keep_the_columns_straight(capsys: pytest.CaptureFixture[str]) -> None:
    show([{"name": "🔄", "n": 1}, {"name": "abc", "n": 2}], COLUMNS, fmt="table", empty="none")

    assert capsys.readouterr().out.splitlines()[1:] == ["🔄    2", "abc   4"]


def test_no_rows_are_a_sentence_in_a_table_and_an_empty_list_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    show([], COLUMNS, fmt="table", empty="No things found")
    show([], COLUMNS, fmt="json", empty="No things found")

    assert capsys.readouterr().out == "No things found\n[]\n"


def test_json_holds_the_rows_unescaped(capsys: pytest.CaptureFixture[str]) -> None:
    show([{"name": "Zoë", "n": 1}], COLUMNS, fmt="json", empty="none")

    printed = capsys.readouterr().out
    assert json.loads(printed) == [{"name": "Zoë", "n": 1}]
    assert "Zoë" in printed


def test_a_terminal_gets_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)

    show([{"name": "[bold]a", "n": 1}], COLUMNS, fmt="table", empty="none")

    assert "│ [bold]a │ 2      │" in terminal.getvalue()


def test_control_characters_never_reach_the_terminal() -> None:
    assert text("a\x1b[2Jb\nc") == "a\\x1b[2Jb\\nc"


@pytest.mark.parametrize(
    ("value", "shown"), [(None, ""), ("x", "x"), (5, "5"), ({"a": [1]}, '{"a": [1]}'), (True, "true")]
)
def test_values_are_shown_on_one_line(value: object, shown: str) -> None:
    assert text(value) == shown


def test_long_cells_are_cut() -> None:
    assert cut("x" * 31, 30) == "x" * 27 + "..."
    assert cut("x" * 30, 30) == "x" * 30


def test_fields_without_a_value_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    show_fields("Job Details: j", [("Status", "pending"), ("Error", None)])

    assert capsys.readouterr().out == "Job Details: j\n  Status: pending\n"


def test_a_file_that_is_not_written_to_its_end_does_not_replace_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text("old")

    with suppress(KeyboardInterrupt), whole_file(file) as out:
        out.write("new")
        raise KeyboardInterrupt

    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["jobs.jsonl"]
    with whole_file(file) as out:
        out.write("new")
    assert file.read_text() == "new"
