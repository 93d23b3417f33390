"""Another process holds the database locked for longer than anybody waits for it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from statemachine_engine.actors.audit import recorder
from statemachine_engine.storage import audit, jobs
from statemachine_engine.storage.engine import sqlite
from statemachine_engine.storage.errors import StoreUnavailable
from tests.degrading.conftest import House
from tests.support.metrics import problem_seconds
from tests.support.until import until

HOLD = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN IMMEDIATE'); print(1, flush=True); input()"
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of a second in place of five."""
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.1)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process is in the middle of a transaction."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.communicate(b"\n")


def test_machines_go_on_while_the_database_is_locked_and_all_is_written_afterwards(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = house.begin()
    jobs.enqueue(runtime.db, "j1", "t", delay_s=0.1)

    with locked(house.path):
        for state in ("lit", "dark") * 50:
            house.switch(state)
        until(lambda: "database is locked" in caplog.text)
        with pytest.raises(StoreUnavailable, match="another process does not let go of it: statemachine-db doctor"):
            house.lamp.send("switch")
        assert not house.trace()

    until(lambda: house.trace() == ["j1"])
    db = house.db()
    until(lambda: house.status(db, "j1") == "completed")
    job = jobs.get(db, "j1")
    assert job is not None
    assert job.attempts == 1
    until(lambda: "the store takes nothing: over after" in caplog.text)
    assert runtime.resources.recorder.flush()
    assert len(audit.transitions(db, "lamp", limit=1000)) == 100
    assert caplog.text.count("the store takes nothing: ") == 2, "one line for it, one for its end"
    until(lambda: "database_locked" in house.problems())
    until(lambda: problem_seconds(house.metrics()).get("database_locked", 0) > 0)


def test_when_too_much_waits_in_memory_machines_stand_still_and_lose_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "MOST_WAITING", 200)
    runtime = house.begin()

    def flood() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(house.environ["STATEMACHINE_CONTROL_PREFIX"] + "-lamp.sock")
            for _ in range(2000):
                sender.send(b'{"type": "switch"}')

    sending = threading.Thread(target=flood)
    with locked(house.path):
        sending.start()
        until(lambda: not runtime.resources.recorder.room.is_set())
        assert sending.is_alive(), "whoever sends is held back"

    sending.join(20)
    until(runtime.resources.recorder.room.is_set)
    db = house.db()
    until(lambda: len(audit.transitions(db, "lamp", limit=None)) == 2000)
    until(lambda: house.problems().get("memory_full", 0) >= 1)


def test_a_start_on_a_locked_database_is_refused_with_the_reason(house: House) -> None:
    house.db().close()

    with locked(house.path), pytest.raises(StoreUnavailable, match="database is locked; another process"):
        house.begin()
