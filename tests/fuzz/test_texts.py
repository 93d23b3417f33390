"""Hostile texts in every field are refused, or stored unchanged and shown harmlessly."""

from __future__ import annotations

import json
import logging
import random
from pathlib import Path

import pytest

from statemachine_engine.actors.logs.log_format import LogLine
from statemachine_engine.cli.events import compact, human
from statemachine_engine.cli.output import json_text, text
from statemachine_engine.storage import audit, jobs, mailbox
from statemachine_engine.storage.audit import Event, Note
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import StorageError
from statemachine_engine.storage.names import UNSAFE
from tests.fuzz import hostile
from tests.fuzz.campaign import campaign

NAMES = ("job_id", "job_type", "machine_type", "source_job_id", "unique_key")


@pytest.mark.timeout(1800)
def test_each_text_is_refused_or_stored_and_never_controls_a_terminal(tmp_path: Path) -> None:
    db = Database.open(tmp_path / "x.db")

    def attack(rng: random.Random) -> str:
        hostile_text = hostile.text(rng)
        shown_harmlessly(hostile_text)
        refused = sum(refuses_name(db, field, hostile_text) for field in NAMES)
        refused += sum(refuses_event(db, field, hostile_text) for field in ("target", "type", "source", "job_id"))
        stored_as_data(db, hostile_text)
        return "refused as a name" if refused else "taken as a name"

    with db.write():  # one commit at the end: the test is about values, not about the disk
        outcomes = campaign("texts in 13 fields", attack, long=10_000, short=300)
    assert set(outcomes) == {"refused as a name", "taken as a name"}
    db.close()


def refuses_name(db: Database, field: str, name: str) -> bool:
    given = {"job_type": "t", "job_id": None, field: name}
    try:
        job = jobs.enqueue(db, given.pop("job_id"), given.pop("job_type") or "", **given)  # type: ignore[arg-type]
    except StorageError as error:
        return is_one_plain_line(error)
    found = jobs.get(db, job.job_id)
    assert found is not None
    if field != "unique_key":
        assert getattr(found, field) == name
    jobs.remove(db, job.job_id)
    return False


def refuses_event(db: Database, field: str, name: str) -> bool:
    given = {"target": "m", "type": "go", field: name}
    try:
        posted = mailbox.post(db, given.pop("target"), given.pop("type"), **given)  # type: ignore[arg-type]
    except StorageError as error:
        return is_one_plain_line(error)
    assert getattr(posted, field) == name
    return False


def is_one_plain_line(error: StorageError) -> bool:
    said = str(error)
    assert not UNSAFE.search(said), ascii(said)
    assert len(said) < 2000
    return True


def stored_as_data(db: Database, value: str) -> None:
    """Store the text as payload, reason and log message: any text that a database can hold is accepted."""
    posted = mailbox.post(db, "m", "go", {"text": value})
    (kept,) = mailbox.unread(db, "m", limit=1_000_000)[-1:] or [posted]
    assert kept.payload["text"] == json.loads(json.dumps(value))  # two surrogate halves become one character
    mailbox.clear(db)
    jobs.enqueue(db, "j", "t", data={value: value})
    jobs.fail(db, "j", value)
    jobs.remove(db, "j")
    audit.write(db, [Note("m", "activity_log", {"message": value}, 0.0)])


def shown_harmlessly(value: str) -> None:
    event = Event(1, value, "activity_log", {"message": value}, 0.0)
    record = logging.LogRecord("x", logging.INFO, "x", 1, "%s", (value,), None)
    for line in (text(value), human(event), compact(event), json_text({"a": value})):
        assert not UNSAFE.search(line), ascii(line)
    first, *below = LogLine("%(message)s").format(record).split("\n")
    assert not UNSAFE.search(first)
    assert all(line.startswith("    ") and not UNSAFE.search(line) for line in below)
    if value < "\ud800" or not any("\ud800" <= char <= "\udfff" for char in value):
        assert json.loads(json_text(value)) == value
