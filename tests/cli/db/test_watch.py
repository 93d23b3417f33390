"""Machines, jobs and state changes on one screen."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from typing import Any

from statemachine_engine.storage import audit
from statemachine_engine.storage.audit import Note
from tests.support.until import until


def prepare(place: Any) -> None:
    place.machine("worker", state="working")
    place.db("add-job", "a", "--type", "t")
    db = place.open()
    payload = {"from_state": "waiting", "to_state": "working", "event_trigger": "new_job"}
    audit.write(db, [Note("worker", "state_change", payload, db.now())])


def test_without_a_terminal_it_looks_once(place: Any) -> None:
    prepare(place)

    result = place.db("watch")

    assert (result.exit_code, result.stderr) == (0, "")
    assert "Jobs: 1 pending   0 scheduled" in result.stdout
    for text in ("worker", "working", "running", "new_job"):
        assert text in result.stdout


def test_one_look_for_programs(place: Any) -> None:
    prepare(place)

    look = place.json("watch")

    assert look["jobs"]["pending"] == 1
    assert [machine["machine_name"] for machine in look["machines"]] == ["worker"]
    assert [change["to_state"] for change in look["transitions"]] == ["working"]


def test_an_empty_database_can_be_watched(place: Any) -> None:
    assert place.json("watch")["machines"] == []
    assert place.db("watch", "--once").exit_code == 0


def test_on_a_terminal_it_shows_what_changes_until_it_is_interrupted(place: Any) -> None:
    prepare(place)
    ours, theirs = pty.openpty()
    environ = {**place.process_environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    command = [str(place.bin / "statemachine-db"), "watch", "--interval", "0.1"]
    process = subprocess.Popen(command, env=environ, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True)
    os.close(theirs)
    shown = ""

    def sees(text: str) -> bool:
        nonlocal shown
        shown += os.read(ours, 65536).decode(errors="replace")
        return text in shown

    until(lambda: sees("1 pending"))
    place.db("add-job", "b", "--type", "t")
    until(lambda: sees("2 pending"))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    os.close(ours)

    assert (process.returncode, errors) == (0, "")
