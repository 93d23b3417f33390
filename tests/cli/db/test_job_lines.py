"""Files of jobs, line by line: what a line becomes, or what is wrong with it."""

from __future__ import annotations

import io
from typing import Any

import pytest

from statemachine_engine.cli.db.job_lines import Line, Reader
from statemachine_engine.storage.jobs.job import NewJob


def lines(text: str | bytes, kind: str = "jsonl", prefix: str | None = "f", **defaults: Any) -> list[Line]:
    data = text if isinstance(text, bytes) else text.encode()
    return list(Reader(kind, defaults, prefix).lines(io.BytesIO(data)))


def job(text: str | bytes, kind: str = "jsonl", **defaults: Any) -> NewJob:
    (line,) = lines(text, kind, **defaults)
    assert line.job is not None, line.problem
    return line.job


def problem(text: str | bytes, kind: str = "jsonl", **defaults: Any) -> str:
    found = [line for line in lines(text, kind, **defaults) if line.job is None]
    assert len(found) == 1
    return f"{found[0].number}: {found[0].problem}"


def test_a_line_may_say_everything() -> None:
    found = job(
        '{"job_id": "j", "job_type": "t", "machine_type": "m", "data": [1], "priority": 1, "max_attempts": 9, '
        '"due_at": "2026-11-24 08:00:00", "source_job_id": "s", "unique_key": "u", "metadata": {"a": 1}, '
        '"time_limit_s": 1.5, "backoff_s": 0}'
    )

    assert found == NewJob("t", "j", "m", [1], "s", 1, 0.0, 1795507200.0, 9, "u", {"a": 1}, 1.5, 0.0)


def test_short_names_and_defaults_do_as_well() -> None:
    found = job(
        '{"id": 7, "payload": {"a": null}}', job_type="t", machine_type="m", priority=2, max_attempts=4, backoff_s=60
    )

    assert found == NewJob("t", "7", "m", {"a": None}, priority=2, max_attempts=4, backoff_s=60)


def test_a_line_of_an_export_is_a_new_job() -> None:
    found = job(
        '{"id": 7, "job_id": "j", "job_type": "t", "status": "failed", "attempts": 3, "result": {}, "owner": "w"}'
    )

    assert found == NewJob("t", "j")


def test_a_line_without_an_id_gets_the_same_one_each_time() -> None:
    text = '\n{"type": "t"}\n\n{"type": "t"}\n'

    assert [line.job.job_id for line in lines(text) if line.job] == ["f-2", "f-4"]
    from_a_pipe = [line.job.job_id for _ in range(2) for line in lines(text, prefix=None) if line.job]
    assert len(set(from_a_pipe)) == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "1: not JSON: Expecting property name enclosed in double quotes at column 2"),
        ("[", "1: not JSON: Expecting value at column 2; a line is one whole object"),
        ("[1]", "1: a list; a line is one object: jq -c '.[]'"),
        ("5", "1: a job is an object {…}, not 5"),
        ('{"type": NaN}', "1: not JSON: NaN is not JSON"),
        ("{}", "1: there is no job_type: write one in the line, or give --type for all"),
        ('{"type": ""}', "1: there is no job_type"),
        ('{"type": ["t"]}', '1: job_type must be text, not ["t"]'),
        ('{"type": "t", "job_id": true}', "1: job_id must be text, not true"),
        ('{"type": "t", "job_id": "a\\u0000"}', "1: job_id is empty or has NUL characters"),
        ('{"type": "t", "job_id": "\\ud800"}', "1: job_id is not UTF-8"),
        ('{"type": "t", "prioritty": 1}', "1: unknown key 'prioritty'; did you mean 'priority'?"),
        ('{"type": "t", "zzz": 1}', "1: unknown key 'zzz'; put the job's own values under 'data'"),
        ('{"type": "t", "priority": "high"}', '1: priority must be a whole number, not "high"'),
        ('{"type": "t", "priority": 3000000000}', "1: priority must be a whole number, not 3000000000"),
        ('{"type": "t", "max_attempts": 0}', "1: max_attempts must be a whole number from 1 on, not 0"),
        ('{"type": "t", "time_limit_s": -1}', "1: time_limit_s must be a number of seconds, not -1"),
        ('{"type": "t", "time_limit_s": "long"}', '1: time_limit_s must be a number of seconds, not "long"'),
        ('{"type": "t", "time_limit_s": true}', "1: time_limit_s must be a number of seconds, not true"),
        ('{"type": "t", "backoff_s": "1m"}', '1: backoff_s must be a number of seconds, not "1m"'),
        ('{"type": "t", "due_at": "soon"}', '1: due_at must be a time such as 2026-11-24 08:00:00, not "soon"'),
        (b'{"type": "\xff"}', "1: not UTF-8: invalid start byte at byte 11"),
    ],
)
def test_a_bad_line_says_what_is_wrong(text: str | bytes, expected: str) -> None:
    assert problem(text).startswith(expected)


def test_a_time_limit_is_a_number_of_seconds() -> None:
    assert job('{"type": "t", "time_limit_s": 1.5}').time_limit_s == 1.5
    assert job("type,time_limit_s\nt,90\n", "csv").time_limit_s == 90


def test_the_lines_after_a_bad_one_are_read() -> None:
    found = lines('{"type": "t"}\nbroken\n{"type": "t"}\n')

    assert [(line.number, line.job is None) for line in found] == [(1, False), (2, True), (3, False)]


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert job(b'\xef\xbb\xbf{"type": "t"}').job_type == "t"
    assert job(b"\xef\xbb\xbftype\nt\n", "csv").job_type == "t"


def test_other_columns_of_a_csv_file_are_keys_of_the_data() -> None:
    found = job('job_id,type,file,size,data,priority\nj,t,"a, b.jpg",,"{""x"": 1}",3\n', "csv")

    assert found == NewJob("t", "j", data={"x": 1, "file": "a, b.jpg", "size": ""}, priority=3)


def test_a_csv_row_may_go_over_several_lines_and_is_counted_by_its_first() -> None:
    found = lines('type,note\nt,"one\ntwo"\nt\nt,three\n', "csv")

    assert [(line.number, line.problem) for line in found] == [
        (2, ""),
        (4, "1 fields, but the first line names 2"),
        (5, ""),
    ]
    assert found[0].job is not None
    assert found[0].job.data == {"note": "one\ntwo"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("type,type\nt,t\n", "1: the first line must name each column"),
        ("type,data\nt,{\n", "2: data is not JSON: "),
        ("type,data,own\nt,[1],x\n", "2: the data is not an object, so it cannot take the columns own"),
        ("type,priority\nt,x\n", '2: priority must be a whole number, not "x"'),
        (b"type,job_id\nt,\xff\n", "2: job_id is not UTF-8"),
        ('type,a\nt,"x" y\n', "2: ',' expected after '\"'"),
    ],
)
def test_a_bad_row_says_what_is_wrong(text: str | bytes, expected: str) -> None:
    assert problem(text, "csv").startswith(expected)


def test_an_empty_file_has_no_lines() -> None:
    assert lines("") == lines("", "csv") == lines("type\n", "csv") == []
