"""Test the lines that the program logs, as a file shows them."""

from __future__ import annotations

import logging

import pytest

from statemachine_engine.actors.logs.log_format import LogLine


def line(message: str, error: BaseException | None = None) -> str:
    info = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord("a", logging.WARNING, __file__, 1, "%s", (message,), info)
    return LogLine("%(levelname)s - %(message)s").format(record)


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("done\n2026-11-24 - root - ERROR - forged", "done\n    2026-11-24 - root - ERROR - forged"),
        ("\x1b[2J\x9b1m", "\\x1b[2J\\x9b1m"),
        ("a\u202eb\u2028c", "a\\u202eb\\u2028c"),
        ("Größe 👍", "Größe 👍"),
    ],
)
def test_a_message_begins_no_line_and_steers_no_terminal(said: str, written: str) -> None:
    assert line(said) == f"WARNING - {written}"


def test_a_traceback_stands_indented_below_whatever_its_error_says() -> None:
    try:
        raise ValueError("bad\n2026-11-24 - root - ERROR - forged \x1b[2J")
    except ValueError as error:
        first, *below = line("oh", error).splitlines()
    assert first == "WARNING - oh"
    assert below[-1] == "    2026-11-24 - root - ERROR - forged \\x1b[2J"
    assert all(text.startswith("    ") for text in below)
