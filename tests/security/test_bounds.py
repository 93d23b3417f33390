"""The limits of nested values and long numbers hold at every entrance."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from werkzeug.test import TestResponse

from statemachine_engine.actors.sockets import datagrams
from statemachine_engine.cli.db.main import db as command
from statemachine_engine.cli.options import KeyValue
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.strictjson import MAX_DEPTH, TooDeep, parse
from statemachine_engine.web.app import create_app, monitor_of

BOMBS = pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 900, 100_000])


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def test_the_deepest_value_is_accepted() -> None:
    wide = json.dumps([[{}] for _ in range(1000)])
    for fits in (nested(MAX_DEPTH), wide):
        assert parse(fits) == json.loads(fits)
    assert parse(nested(MAX_DEPTH + 1), around=1)
    with pytest.raises(TooDeep):
        parse(nested(MAX_DEPTH + 1))


@BOMBS
def test_a_datagram_has_the_limit_of_depth(depth: int) -> None:
    with pytest.raises(datagrams.MalformedMessage, match="nested more than 64 levels deep|larger than"):
        datagrams.decode(b'{"type": "x", "payload": %s}' % nested(depth).encode(), 0.0)


def test_deep_json_inside_a_text_is_accepted() -> None:
    data = json.dumps({"type": "x", "payload": nested(900)}).encode()
    assert datagrams.decode(data, 0.0).payload == nested(900)  # type: ignore[union-attr]


@BOMBS
def test_the_command_line_and_a_bulk_file_have_the_limit_of_depth(tmp_path: Path, depth: int) -> None:
    (tmp_path / "jobs.jsonl").write_text(f'{{"job_type": "t", "data": {nested(depth)}}}\n')
    for args in (
        ["add-job", "--type", "t", "--payload", nested(depth)],
        ["send-event", "--target", "m", "--type", "go", "--payload", nested(depth)],
        ["add-jobs", str(tmp_path / "jobs.jsonl")],
    ):
        done = CliRunner().invoke(command, ["--db", str(tmp_path / "x.db"), *args])
        assert done.exit_code in (1, 2)
        assert "nested more than 64 levels deep" in done.output
        assert len(done.output) < 500


@BOMBS
def test_a_request_has_the_limit_of_depth(tmp_path: Path, depth: int) -> None:
    answer = post(tmp_path, f'{{"job_type": "t", "payload": {nested(depth)}}}')
    assert (answer.status_code, answer.get_json()["error"]) == (400, "nested more than 64 levels deep")


def post(folder: Path, body: str) -> TestResponse:
    """Return the answer to a request for a new job."""
    Database.open(folder / "x.db").close()
    app = create_app(folder / "x.db", event_socket=str(folder / "e"))
    headers = {"X-CSRF-Token": monitor_of(app).csrf_token}
    with closing(monitor_of(app)):
        return app.test_client().post("/api/jobs", data=body, headers=headers, content_type="application/json")


LONG, REFUSED = "9" * 100_000, "a whole number of more than 100 digits: 9{20}…"


def test_a_very_long_number_is_refused(tmp_path: Path) -> None:
    """Python takes quadratic time for it, and refuses more than 4300 digits with a message of its own."""
    (tmp_path / "payload.json").write_text(LONG)
    (tmp_path / "jobs.jsonl").write_text(f'{{"job_type": "t", "data": {LONG}}}\n')
    (tmp_path / "jobs.csv").write_text(f"job_type,data\nt,{LONG}\n")
    with pytest.raises(datagrams.MalformedMessage, match=REFUSED):
        datagrams.decode(b'{"type": "x", "payload": %s}' % LONG.encode(), 0.0)
    for args in (
        ["add-job", "--type", "t", "--payload", f"@{tmp_path}/payload.json"],
        ["send-event", "--target", "m", "--type", "go", "--payload", f"@{tmp_path}/payload.json"],
        ["add-jobs", str(tmp_path / "jobs.jsonl")],
        ["add-jobs", str(tmp_path / "jobs.csv")],
    ):
        done = CliRunner().invoke(command, ["--db", str(tmp_path / "x.db"), *args])
        assert done.exit_code in (1, 2)
        assert re.search(REFUSED, done.output)
        assert len(done.output) < 500
    assert KeyValue().convert(f"id={LONG}", None, None) == ("id", LONG)  # not our JSON, and therefore a text


def test_a_request_with_a_very_long_number_is_refused(tmp_path: Path) -> None:
    answer = post(tmp_path, f'{{"job_type": "t", "payload": {LONG}}}')
    assert answer.status_code == 400
    assert re.fullmatch(f"the body is not JSON: {REFUSED}", answer.get_json()["error"])
