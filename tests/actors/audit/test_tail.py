"""Reading the audit log as it grows: no event twice, none left out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine.actors.audit import tail as tail_module
from statemachine_engine.actors.audit.event_socket import EventSocket
from statemachine_engine.actors.audit.tail import AuditTail
from statemachine_engine.storage import audit
from statemachine_engine.storage.audit import Note
from statemachine_engine.storage.clock import system_clock
from statemachine_engine.storage.engine import migrations
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import StoreTooNew, StoreUnavailable

Open = Callable[..., Database]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def tail(url: str) -> Iterator[Callable[..., AuditTail]]:
    made: list[AuditTail] = []

    def make(**options: Any) -> AuditTail:
        made.append(AuditTail(url, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def tell(db: Database, *numbers: int, machine: str = "m", type: str = "said", ago_s: float = 0.0) -> None:
    at_s = system_clock.now() - ago_s
    audit.write(db, [Note(machine, type, {"n": number}, at_s) for number in numbers])


def read(tail: AuditTail) -> list[int]:
    return [event.payload["n"] for event in tail.rest()]


def test_what_is_there_is_read_once_and_then_what_comes(
    url: str, open_db: Open, tail: Callable[..., AuditTail]
) -> None:
    db = open_db(url)
    tell(db, 1, 2)
    reader = tail(after=0)

    assert read(reader) == [1, 2]
    assert read(reader) == []
    tell(db, 3)
    assert read(reader) == [3]


def test_without_a_place_to_begin_only_what_comes_from_now_on_is_read(
    url: str, open_db: Open, tail: Callable[..., AuditTail]
) -> None:
    db = open_db(url)
    tell(db, 1, ago_s=0.1)
    reader = tail()
    tell(db, 2)

    assert read(reader) == [2]


def test_since_a_moment_begins_with_the_first_event_from_then_on(
    url: str, open_db: Open, tail: Callable[..., AuditTail]
) -> None:
    db = open_db(url)
    tell(db, 1, ago_s=3600)
    tell(db, 2, ago_s=50)
    tell(db, 3)

    assert read(tail(last_s=60.0)) == [2, 3]


def test_more_than_a_batch_is_read_whole(url: str, open_db: Open, tail: Callable[..., AuditTail]) -> None:
    tell(open_db(url), *range(tail_module.BATCH * 2 + 1))

    assert read(tail(after=0)) == list(range(tail_module.BATCH * 2 + 1))


def test_machines_and_types_are_chosen_and_the_place_moves_past_the_others(
    url: str, open_db: Open, tail: Callable[..., AuditTail]
) -> None:
    db = open_db(url)
    tell(db, 1, machine="a")
    tell(db, 2, machine="b")
    tell(db, 3, machine="b", type="other")
    reader = tail(after=0, machines=["b"], types=["said"])

    assert read(reader) == [2]
    assert reader.after == 3


def test_a_database_that_comes_later_is_read_from_its_beginning(
    url: str, open_db: Open, tail: Callable[..., AuditTail]
) -> None:
    reader = tail()
    with pytest.raises(StoreUnavailable):
        reader.look()

    tell(open_db(url), 1)

    assert read(reader) == [1]


def test_a_recreated_log_is_read_from_its_beginning(url: str, open_db: Open, tail: Callable[..., AuditTail]) -> None:
    db = open_db(url)
    tell(db, 1, 2, 3, ago_s=1)
    reader = tail(after=0)
    assert read(reader) == [1, 2, 3]

    migrations.recreate(db)
    assert read(reader) == []
    tell(db, 4)

    assert read(reader) == [4]


def test_a_place_beyond_the_end_is_one_in_an_older_log(url: str, open_db: Open, tail: Callable[..., AuditTail]) -> None:
    tell(open_db(url), 1, 2)

    assert read(tail(after=5000)) == [1, 2]


def test_a_log_that_was_pruned_goes_on(url: str, open_db: Open, tail: Callable[..., AuditTail]) -> None:
    db = open_db(url)
    tell(db, 1, 2, ago_s=60)
    reader = tail(after=0)
    assert read(reader) == [1, 2]

    assert audit.prune(db, older_than_s=1) == 2
    assert read(reader) == []
    tell(db, 3)

    assert read(reader) == [3]


def test_a_file_that_takes_the_place_of_another_is_read_from_where_the_old_one_ended(
    tmp_path: Path, open_db: Open
) -> None:
    url, backup = f"sqlite:///{tmp_path / 'store.db'}", f"sqlite:///{tmp_path / 'backup.db'}"
    db, other = open_db(url), open_db(backup)
    reader = AuditTail(url, after=0)
    notes = [Note("m", "said", {"n": number}, system_clock.now() - 20 + number) for number in (1, 2, 3)]
    audit.write(db, notes[:2])
    assert read(reader) == [1, 2]
    audit.write(db, notes[2:])
    audit.write(other, notes)
    tell(other, 4)
    db.close()
    other.close()

    for leftover in ("store.db-wal", "store.db-shm"):  # SQLite would take them for the new file's
        (tmp_path / leftover).unlink()
    os.replace(tmp_path / "backup.db", tmp_path / "store.db")
    seen = [event.payload["n"] for _ in range(4) for event in reader.look()]

    assert seen == [3, 4]
    reader.close()


def test_a_file_that_is_gone_is_waited_for(tmp_path: Path, open_db: Open) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    db = open_db(url)
    tell(db, 1, ago_s=1)
    reader = AuditTail(url, after=0)
    assert read(reader) == [1]
    db.close()
    for file in tmp_path.glob("store.db*"):
        file.unlink()

    assert reader.look() == []
    with pytest.raises(StoreUnavailable):
        reader.look()
    tell(open_db(url), 2)

    assert read(reader) == [2]
    reader.close()


def test_a_deleted_file_is_closed_even_if_another_process_still_writes_it(tmp_path: Path, open_db: Open) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    db = open_db(url)
    reader = AuditTail(url, after=0)
    for number in range(10):  # so that all its connections are open
        tell(db, number)
        assert read(reader) == [number]
    (tmp_path / "store.db").unlink()

    tell(db, 10)
    assert read(reader) == [10]
    tell(db, 11)
    with pytest.raises(StoreUnavailable, match="no such database"):
        reader.look()


def test_following_reports_an_outage_and_goes_on_after_it(
    tmp_path: Path, open_db: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail_module, "RECONNECT_S", 0.01)
    url = f"sqlite:///{tmp_path / 'store.db'}"
    event_socket = EventSocket(str(tmp_path / "events.sock"))
    heard: list[str | None] = []

    def hear(reason: str | None) -> None:
        heard.append(reason)
        if len(heard) == 2:
            tell(open_db(url), 1)

    reader = AuditTail(url)
    first = next(chain.from_iterable(reader.follow(event_socket, until_s=float("inf"), on_outage=hear)))

    assert first.payload == {"n": 1}
    assert "no such database" in str(heard[0])
    assert heard[-1] is None
    reader.close()
    event_socket.close()


def test_a_schema_of_a_newer_engine_is_not_waited_for(tmp_path: Path, open_db: Open) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    db = open_db(url)
    with db.write():
        db.execute("PRAGMA user_version = 999")
    db.close()
    event_socket = EventSocket(str(tmp_path / "events.sock"))

    with pytest.raises(StoreTooNew):
        list(AuditTail(url).follow(event_socket, until_s=0.0, on_outage=lambda _: None))
    event_socket.close()


def test_a_stopped_event_socket_ends_the_following(
    url: str, open_db: Open, tail: Callable[..., AuditTail], tmp_path: Path
) -> None:
    open_db(url)
    event_socket = EventSocket(str(tmp_path / "events.sock"))
    event_socket.stop()

    assert list(tail().follow(event_socket, until_s=float("inf"), on_outage=lambda _: None)) == []
    event_socket.close()
