"""How deep a value may be nested, through every door."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from statemachine_engine.actors import wire
from statemachine_engine.cli.db import db as command
from statemachine_engine.storage.database import Database
from statemachine_engine.storage.strictjson import MAX_DEPTH, TooDeep, parse
from statemachine_engine.web.app import create_app, monitor_of

BOMBS = pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 900, 100_000])


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def test_the_deepest_value_that_is_taken() -> None:
    wide = json.dumps([[{}] for _ in range(1000)])
    for fits in (nested(MAX_DEPTH), wide):
        assert parse(fits) == json.loads(fits)
    assert parse(nested(MAX_DEPTH + 1), around=1)
    with pytest.raises(TooDeep):
        parse(nested(MAX_DEPTH + 1))


@BOMBS
def test_a_datagram(depth: int) -> None:
    with pytest.raises(wire.MalformedMessage, match="nested more than 64 levels deep|larger than"):
        wire.decode(b'{"type": "x", "payload": %s}' % nested(depth).encode(), 0.0)


def test_a_datagram_whose_payload_is_a_text_that_holds_one() -> None:
    data = json.dumps({"type": "x", "payload": nested(900)}).encode()
    assert wire.decode(data, 0.0).payload == nested(900)  # type: ignore[union-attr]


@BOMBS
def test_the_command_line_and_a_bulk_file(tmp_path: Path, depth: int) -> None:
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
def test_a_request(tmp_path: Path, depth: int) -> None:
    Database.open(tmp_path / "x.db").close()
    app = create_app(tmp_path / "x.db", event_socket=str(tmp_path / "e"))
    headers = {"X-CSRF-Token": monitor_of(app).csrf_token}
    body = f'{{"job_type": "t", "payload": {nested(depth)}}}'
    answer = app.test_client().post("/api/jobs", data=body, headers=headers, content_type="application/json")
    assert (answer.status_code, answer.get_json()["error"]) == (400, "nested more than 64 levels deep")
    monitor_of(app).close()
