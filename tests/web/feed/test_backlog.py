"""The newest events in memory, and the places of those who read them."""

from __future__ import annotations

import pytest

from statemachine_engine.web.feed import backlog as module
from statemachine_engine.web.feed.backlog import Backlog, Entry, Place


def entries(*ids: int, size: int = 10) -> list[Entry]:
    return [Entry(number, b"x" * size) for number in ids]


def ids_after(backlog: Backlog, place: Place) -> list[int]:
    piece = backlog.after(place)
    assert piece is not None
    return [entry.id for entry in piece.entries]


def test_readers_go_on_from_where_they_are() -> None:
    backlog = Backlog()
    backlog.begin(10)
    start = backlog.end
    assert start.id == 10
    backlog.add(entries(11, 12, 15))

    assert ids_after(backlog, start) == [11, 12, 15]
    assert ids_after(backlog, Place(start.epoch, 12)) == [15]
    assert ids_after(backlog, backlog.end) == []
    assert backlog.place_after(9) is None
    assert backlog.place_after(13) == Place(start.epoch, 13)


def test_a_client_ahead_of_the_backlog_gets_only_later_events() -> None:
    backlog = Backlog()
    backlog.begin(0)
    ahead = backlog.place_after(5)
    assert ahead is not None
    backlog.add(entries(3, 4, 5, 6))

    assert ids_after(backlog, ahead) == [6]


def test_readers_in_one_place_share_a_piece_and_its_encoding() -> None:
    backlog = Backlog()
    backlog.begin(0)
    start = backlog.end
    backlog.add(entries(1, 2))
    first, second = backlog.after(start), backlog.after(start)
    assert first is not None
    assert first is second
    calls = []
    for _ in range(2):
        assert first.encoded(lambda entries: b"text") == b"text"

    def encode(found: object) -> bytes:
        calls.append(found)
        return b"once"

    assert [first.encoded(encode), first.encoded(encode)] == [b"once", b"once"]
    assert len(calls) == 1


def test_events_that_are_too_old_or_too_many_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    backlog = Backlog()
    backlog.begin(0)
    start = backlog.end
    backlog.add(entries(*range(1, 12)))

    assert backlog.after(start) is None
    assert backlog.place_after(5) is None
    assert ids_after(backlog, Place(start.epoch, 6)) == [7, 8, 9, 10, 11]

    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    backlog.add(entries(12, 13, size=5000))
    assert backlog.place_after(12) is not None
    assert ids_after(backlog, Place(start.epoch, 12)) == [13]


def test_a_piece_is_limited_by_number_and_by_size_of_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE", 3)
    monkeypatch.setattr(module, "PIECE_BYTES", 25)
    backlog = Backlog()
    backlog.begin(0)
    backlog.add([*entries(1, 2, 3, 4), *entries(5, 6, size=20)])

    assert ids_after(backlog, Place(1, 0)) == [1, 2, 3]
    assert ids_after(backlog, Place(1, 3)) == [4, 5]


def test_when_ids_start_again_no_old_place_counts() -> None:
    backlog = Backlog()
    backlog.begin(0)
    backlog.add(entries(1, 2))
    place = backlog.end
    backlog.begin(0)
    backlog.add(entries(1, 2, 3))

    assert backlog.after(place) is None
