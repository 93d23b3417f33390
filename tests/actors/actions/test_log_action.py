"""A log line reaches the program's log and the page."""

from __future__ import annotations

import logging

import pytest

from tests.support.until import until


def test_the_message_is_logged_and_published(bench, published, caplog):
    with caplog.at_level(logging.INFO):
        assert bench.run("log", message="🔄 Processing job 7") is None

    assert "[tester] Action log: 🔄 Processing job 7" in caplog.messages
    shown = until(lambda: published("activity_log"))[0]
    assert shown["message"] == "🔄 Processing job 7"
    assert shown["level"] == "info"
    assert shown["machine"] == "tester"


@pytest.mark.parametrize(
    ("level", "python_level"),
    [("info", 20), ("success", 20), ("warning", 30), ("error", 40), ("ERROR", 40), ("name", 20), (5, 20), (None, 20)],
)
def test_any_level_is_taken(bench, published, caplog, level, python_level):
    with caplog.at_level(logging.DEBUG):
        bench.run("log", message="m", level=level)

    assert [record.levelno for record in caplog.records if record.message.endswith("Action log: m")] == [python_level]
    assert until(lambda: published("activity_log"))[0]["level"] == str(level or "info").lower()


def test_success_names_the_event(bench):
    assert bench.run("log", message="m", success="continue") == "continue"


def test_there_is_a_message_in_any_case(bench, published):
    bench.run("log")
    assert until(lambda: published("activity_log"))[0]["message"] == "No message"


def test_a_value_that_is_no_text_is_shown_as_json(bench, published):
    bench.run("log", message={"a": [1, True]})
    assert until(lambda: published("activity_log"))[0]["message"] == '{"a": [1, true]}'


def test_percent_signs_are_not_format_marks(bench, published):
    bench.run("log", message="100 %s done %d")
    assert until(lambda: published("activity_log"))[0]["message"] == "100 %s done %d"


def test_activity_log_goes_on_with_continue(bench, published):
    assert bench.run("activity_log") == "continue"
    assert bench.run("activity_log", message="m", success="next") == "next"

    shown = until(lambda: len(published("activity_log")) == 2 and published("activity_log"))
    assert [line["message"] for line in shown] == ["Log message", "m"]


def test_a_message_that_would_fill_the_log_is_cut_and_its_length_said(bench, published):
    bench.run("log", message="x" * 50_000)

    assert until(lambda: published("activity_log"))[0]["message"] == "x" * 20_000 + " … (50000 characters)"
