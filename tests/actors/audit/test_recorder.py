"""The audit writer: keeps order, never blocks, outlives a store that is away and records that cannot be stored."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine.actors.audit import recorder as recorder_module
from statemachine_engine.actors.audit.publisher import Publisher
from statemachine_engine.actors.audit.recorder import BATCH, Recorder
from statemachine_engine.actors.metrics.counters import Counters
from statemachine_engine.storage import audit, machines, mailbox
from statemachine_engine.storage.audit import Mark, Note, Received, Record, StateRow
from statemachine_engine.storage.engine import sqlite
from statemachine_engine.storage.engine.database import Database
from tests.support.factories import acquire
from tests.support.postgres import lose_next_answer
from tests.support.until import until

from .test_publisher import reader


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def recorder(db: Database, tmp_path: Path, counters: Counters) -> Iterator[Recorder]:
    recorder = Recorder(db, Publisher(str(tmp_path / "events.sock")), counters)
    recorder.start()
    yield recorder
    recorder.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "sm-recorder"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite gives up on a lock at once, the recorder tries again at once."""
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.01)
    monkeypatch.setattr(recorder_module, "RETRY_S", (0.01,))


def note(number: int, **payload: Any) -> Note:
    return Note("m", "x", {"number": number, **payload}, 1_800_000_000.0)


def numbers(db: Database) -> list[int]:
    return [event.payload["number"] for event in audit.since(db, 0, 100_000)]


def test_what_is_recorded_together_is_stored(recorder: Recorder, db: Database) -> None:
    acquire(db, "m", "run-1")
    event = mailbox.post(db, "m", "go")
    recorder.record(
        note(1), StateRow("m", "busy", 5.0, "run-1"), Mark(event.id, "processed"),
        Received("m", "raw", {"a": 1}, "j", "s", "ignored", 6.0),
    )  # fmt: skip
    assert recorder.flush()

    machine = machines.get(db, "m")
    assert machine is not None
    assert (numbers(db), machine.current_state) == ([1], "busy")
    assert {(row.event_type, row.status) for row in mailbox.list_(db)} == {("go", "processed"), ("raw", "ignored")}


def test_order_is_kept_from_each_thread(recorder: Recorder, db: Database) -> None:
    def work(start: int) -> None:
        for number in range(300):
            recorder.record(note(start + number))

    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 1000, 2000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorder.flush(20)
    for start in (0, 1000, 2000):
        mine = [number for number in numbers(db) if start <= number < start + 1000]
        assert mine == list(range(start, start + 300))


def test_subscribers_are_called_after_the_commit_in_order_with_ids(recorder: Recorder, db: Database) -> None:
    published: list[tuple[int, bool]] = []
    cancel = recorder.subscribe(lambda sent: published.append((sent["id"], audit.newest_id(db) >= sent["id"])))
    for number in range(50):
        recorder.record(note(number))
    assert recorder.flush()
    cancel()
    cancel()
    recorder.record(note(99))
    assert recorder.flush()
    assert published == [(number, True) for number in range(1, 51)]


def test_a_subscriber_that_fails_stops_nothing(recorder: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    published: list[int] = []
    recorder.subscribe(lambda sent: [][0])
    recorder.subscribe(lambda sent: published.append(sent["id"]))
    recorder.record(note(1), note(2))
    assert recorder.flush()
    assert published == [1, 2]
    assert "a subscriber failed on x" in caplog.text


@pytest.mark.leaves_sockets
def test_the_reader_of_the_event_socket_receives_what_is_published(recorder: Recorder, tmp_path: Path) -> None:
    with reader(tmp_path / "events.sock") as sock:
        recorder.record(note(1))
        assert recorder.flush()
        assert b'"event_type":"x"' in sock.recv(9999)


BAD: dict[str, Callable[[], Record]] = {
    "an object without text": lambda: note(-1, it=Silent()),
    "a type with a lone surrogate": lambda: Note("m", "\ud800", {}, 1.0),
    "a time that is none": lambda: Note("m", "x", {}, float("nan")),
    "a job_id with a lone surrogate": lambda: Received("m", "x", {}, "\ud800", None, "ignored", 1.0),
}


class Silent:
    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_record_that_cannot_be_stored_is_left_out_alone_and_counted(
    recorder: Recorder, counters: Counters, db: Database, bad: Callable[[], Record], caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(20):
        recorder.record(note(number), *([bad()] if number in (3, 11) else []))
    assert recorder.flush()
    assert numbers(db) == list(range(20))
    assert recorder.lost == 2
    assert counters.take().problems == [("record_lost", 2, 0.0)]
    assert "cannot be stored" in caplog.text


class Hungry:
    """Its text takes memory, of which there is none at the first try."""

    is_fed = False

    def __str__(self) -> str:
        if not self.is_fed:
            self.is_fed = True
            raise MemoryError
        return "fed"


def test_a_record_for_which_there_is_no_memory_is_stored_when_there_is_some(
    recorder: Recorder, db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    recorder.record(note(1), note(2, it=Hungry()))
    assert recorder.flush()
    assert numbers(db) == [1, 2]
    assert recorder.lost == 0
    assert "the store takes nothing: the system gives no more memory" in caplog.text


def test_a_store_that_another_process_holds_locked_gets_all_of_it_later(
    impatient: None, tmp_path: Path, open_db: Callable[..., Database], caplog: pytest.LogCaptureFixture
) -> None:
    db = open_db(tmp_path / "store.db")
    recorder = Recorder(db, Publisher(str(tmp_path / "s")), Counters())
    recorder.start()
    program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN IMMEDIATE'); "
    command = [sys.executable, "-c", program + "print(1, flush=True); input()", str(tmp_path / "store.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for number in range(3 * BATCH):
            recorder.record(note(number))
        assert not recorder.flush(0.05)
        until(lambda: "database is locked" in caplog.text)
        process.communicate(b"\n")
    assert recorder.flush(20)
    assert numbers(db) == list(range(3 * BATCH))
    assert recorder.lost == 0
    assert caplog.text.count("database is locked") == 1
    assert "the store takes nothing: over after" in caplog.text
    recorder.stop()


def test_what_the_store_takes_nothing_of_until_the_end_is_counted(
    impatient: None, tmp_path: Path, open_db: Callable[..., Database], caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(open_db(tmp_path / "store.db"), Publisher(str(tmp_path / "s")), Counters())
    blocker = sqlite3.connect(tmp_path / "store.db")
    blocker.execute("BEGIN IMMEDIATE")
    recorder.start()
    for number in range(3 * BATCH):
        recorder.record(note(number))
    with caplog.at_level(logging.ERROR):
        recorder.stop(0.1)
    blocker.close()
    assert recorder.lost == 3 * BATCH
    assert f"{3 * BATCH} records of the audit log are lost" in caplog.text


def test_stop_stores_what_is_left(db: Database, tmp_path: Path) -> None:
    recorder = Recorder(db, Publisher(str(tmp_path / "s")), Counters())
    for number in range(2 * BATCH + 1):
        recorder.record(note(number))
    recorder.start()
    recorder.stop()
    recorder.stop()
    assert numbers(db) == list(range(2 * BATCH + 1))


def test_records_that_come_while_it_stops_are_not_forgotten(db: Database, tmp_path: Path) -> None:
    recorder = Recorder(db, Publisher(str(tmp_path / "s")), Counters())
    recorder.start()
    recorder.subscribe(lambda sent: recorder.record(note(sent["payload"]["number"] + 1)) if sent["id"] < 40 else None)
    recorder.record(note(0))
    recorder.stop()
    assert numbers(db) == list(range(40))


def test_stop_may_be_called_twice(recorder: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    recorder.stop()
    recorder.stop(0.01)
    assert caplog.text == ""


def test_stop_is_safe_before_start(db: Database, tmp_path: Path) -> None:
    Recorder(db, Publisher(str(tmp_path / "s")), Counters()).stop()


@pytest.mark.usefixtures("impatient")
def test_a_batch_whose_answer_was_lost_is_stored_once(
    postgres_url: str, open_db: Callable[..., Database], tmp_path: Path
) -> None:
    db = open_db(postgres_url)
    recorder = Recorder(db, Publisher(str(tmp_path / "events.sock")), Counters())
    lose_next_answer(db)
    recorder.record(note(1), note(2))
    recorder.start()
    recorder.record(note(3))

    assert recorder.flush()
    recorder.stop()
    assert numbers(db) == [1, 2, 3]


@pytest.mark.usefixtures("impatient")
def test_a_batch_whose_ids_belong_to_other_records_counts_as_unwritten(
    postgres_url: str, open_db: Callable[..., Database]
) -> None:
    db = open_db(postgres_url)
    (theirs,) = audit.write(db, [note(1)])

    assert audit.is_written(db, [note(1)], [theirs])
    assert not audit.is_written(db, [note(2)], [theirs])
