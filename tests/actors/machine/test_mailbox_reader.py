"""A machine's reader: whatever becomes of the datagrams, each row comes once and in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statemachine_engine.actors.machine import mailbox_reader
from statemachine_engine.actors.machine.mailbox_reader import MailboxReader, event_of
from statemachine_engine.actors.metrics.counters import Counters
from statemachine_engine.actors.metrics.outage import Outage
from statemachine_engine.actors.sockets.messages import EventMessage
from statemachine_engine.storage import mailbox
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.mailbox import MailboxMessage
from tests.support.manual_clock import ManualClock


def reader_of(db: Database) -> MailboxReader:
    return MailboxReader(db, "m", Outage(Counters(), None, "the store takes nothing", str))


@pytest.fixture
def reader(db: Database) -> MailboxReader:
    return reader_of(db)


@pytest.fixture
def post(db: Database) -> Callable[..., MailboxMessage]:
    def post_one(type: str = "x", **options: Any) -> MailboxMessage:
        return mailbox.post(db, "m", type, **options)

    return post_one


def raw(number: int, type: str = "x") -> EventMessage:
    return EventMessage(type, number, None, "s", 1.0)


def taken(reader: MailboxReader) -> list[EventMessage]:
    """Take all waiting events, in order."""
    found = []
    while (event := reader.next()) is not None:
        found.append(event)
    return found


def accept(reader: MailboxReader, message: MailboxMessage, *, at_once: bool = False) -> list[int | None]:
    return [event.event_id for event in reader.accept(event_of(message), lambda _: at_once)]


def test_a_datagram_after_the_one_before_it_is_handled_alone(
    reader: MailboxReader, post: Callable[..., MailboxMessage]
) -> None:
    messages = [post() for _ in range(3)]
    assert [accept(reader, message) for message in messages] == [[message.id] for message in messages]


def test_a_second_datagram_of_a_row_is_dropped(reader: MailboxReader, post: Callable[..., MailboxMessage]) -> None:
    message = post()
    assert accept(reader, message) == [message.id]
    assert accept(reader, message) == []
    assert reader.fetch() == []


def test_a_gap_is_filled_from_the_mailbox(reader: MailboxReader, post: Callable[..., MailboxMessage]) -> None:
    first, lost, third = post(), post(), post()
    assert accept(reader, first) == [first.id]
    assert accept(reader, third) == [lost.id, third.id]
    assert accept(reader, lost) == []


def test_a_gap_of_rows_that_need_no_reader_is_none(
    reader: MailboxReader, db: Database, post: Callable[..., MailboxMessage]
) -> None:
    first, settled, third = post(), post(), post()
    mailbox.settle(db, [settled.id], "processed")
    assert accept(reader, first) == [first.id]
    assert accept(reader, third) == [third.id]


def test_an_event_that_acts_at_once_overtakes_and_the_missed_ones_come_before_later_ones(
    reader: MailboxReader, post: Callable[..., MailboxMessage]
) -> None:
    first, lost, urgent, later = (post() for _ in range(4))
    accept(reader, first)
    assert accept(reader, urgent, at_once=True) == [urgent.id]
    assert accept(reader, later) == [lost.id, later.id]


def test_what_an_urgent_event_overtook_is_fetched_when_nothing_else_comes(
    reader: MailboxReader, post: Callable[..., MailboxMessage]
) -> None:
    first, lost, urgent = (post() for _ in range(3))
    accept(reader, first)
    accept(reader, urgent, at_once=True)
    assert reader
    assert [event.event_id for event in taken(reader)] == [lost.id]
    assert not reader


def test_a_row_that_was_committed_after_a_later_one_is_found_once(
    reader: MailboxReader, db: Database, post: Callable[..., MailboxMessage]
) -> None:
    late, first = post(), post()
    set_status(db, late, "processed")  # as if its transaction were still open
    assert [event.event_id for event in reader.fetch()] == [first.id]
    set_status(db, late, "pending")
    assert reader.fetch() == []
    assert [event.event_id for event in reader.overlooked()] == [late.id]
    assert reader.overlooked() == []


def set_status(db: Database, message: MailboxMessage, status: str) -> None:
    with db.write():
        db.execute("UPDATE machine_events SET status = ? WHERE id = ?", (status, message.id))


def test_rows_that_expired_do_not_come(
    reader: MailboxReader, clock: ManualClock, post: Callable[..., MailboxMessage]
) -> None:
    post(ttl_s=5)
    kept = post()
    clock.advance(6)
    assert [event.event_id for event in reader.fetch()] == [kept.id]


def test_a_datagram_without_a_row_passes(reader: MailboxReader) -> None:
    assert reader.accept(raw(1), lambda _: False) == [raw(1)]
    assert reader.accept(raw(1), lambda _: False) == [raw(1)]


def test_more_datagrams_than_memory_has_room_for_go_through_the_mailbox_in_order(
    reader: MailboxReader, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_reader, "BACKLOG", 5)
    for number in range(12):
        reader.wait(raw(number))
    assert len(mailbox.unread(db, "m")) == 7
    first = reader.next()
    assert first is not None
    reader.wait(raw(12))
    assert [first.payload, *(event.payload for event in taken(reader))] == list(range(13))


def test_rows_are_fetched_as_memory_has_room_for_them(
    reader: MailboxReader, post: Callable[..., MailboxMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_reader, "BACKLOG", 4)
    ids = [post().id for _ in range(11)]
    for event in reader.fetch():
        reader.wait(event)
    assert len(reader._waiting) == 4
    assert [event.event_id for event in taken(reader)] == ids


def test_a_row_without_its_mark_does_not_come_again_after_many_others(
    reader: MailboxReader, post: Callable[..., MailboxMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_reader, "SEEN", 4)
    messages = [post() for _ in range(20)]
    for message in messages:
        assert accept(reader, message) == [message.id]
    assert reader.overlooked() == []
    assert accept(reader, messages[0]) == []


def test_at_the_end_what_waits_has_a_row(
    reader: MailboxReader, db: Database, post: Callable[..., MailboxMessage]
) -> None:
    message = post()
    reader.wait(raw(1))
    for event in reader.accept(event_of(message), lambda _: False):
        reader.wait(event)
    reader.keep_all()
    assert not reader
    assert [row.payload for row in mailbox.unread(db, "m")] == [None, 1]


def test_what_was_cleared_does_not_come(reader: MailboxReader, post: Callable[..., MailboxMessage]) -> None:
    waiting, cleared = post(), post()
    for event in reader.accept(event_of(waiting), lambda _: False):
        reader.wait(event)
    reader.forget([cleared.id, waiting.id])
    kept = post()
    assert accept(reader, kept) == [kept.id]
    assert taken(reader) == []


def test_while_the_store_is_away_datagrams_are_kept_in_memory(
    db: Database, reader: MailboxReader, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mailbox_reader, "BACKLOG", 2)
    db.close()
    for number in range(4):
        reader.wait(raw(number))
    assert reader.overlooked() == []
    assert [event.payload for event in taken(reader)] == [0, 1, 2, 3]
    assert "the database was closed" in caplog.text


SENDERS = st.sampled_from("abc")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("post"), SENDERS, st.sampled_from(["deliver", "lose", "twice", "hold"])),
        st.tuples(st.just("urgent"), SENDERS, st.sampled_from(["deliver", "lose", "twice", "hold"])),
        st.tuples(st.just("release"), st.integers(0, 3)),
        st.tuples(st.sampled_from(["raw", "take", "mark", "overlooked", "fetch"])),
    ),
    max_size=60,
)


class Model:
    """A machine that is busy until its test lets it take the next event, and the datagrams on their way to it."""

    def __init__(self) -> None:
        self.db = Database.open("sqlite:///:memory:", clock=ManualClock())
        self.reader = reader_of(self.db)
        self.handled: list[EventMessage] = []
        self.held: list[MailboxMessage] = []
        self.sent = 0

    def step(self, kind: str, *arguments: Any) -> None:
        if kind in ("post", "urgent"):
            self.post(kind, *arguments)
        elif kind == "raw":
            self.take_in(self.reader.accept(EventMessage("raw", self.number(), None, "r", 1.0), lambda _: False))
        elif kind == "release" and self.held:
            self.deliver(self.held.pop(arguments[0] % len(self.held)))
        elif kind == "take":
            event = self.reader.next()
            self.handled += [event] if event else []
        elif kind == "mark":
            mailbox.settle(self.db, [event.event_id for event in self.handled if event.event_id], "processed")
        elif kind != "release":
            self.take_in(getattr(self.reader, kind)())

    def post(self, type: str, sender: str, fate: str) -> None:
        message = mailbox.post(self.db, "m", type, self.number(), source=sender)
        if fate == "hold":
            self.held.append(message)
        for _ in range({"deliver": 1, "twice": 2}.get(fate, 0)):
            self.deliver(message)

    def deliver(self, message: MailboxMessage) -> None:
        self.take_in(self.reader.accept(event_of(message), lambda event: event.type == "urgent"))

    def take_in(self, events: list[EventMessage]) -> None:
        for event in events:
            if event.type == "urgent":
                self.handled.append(event)
            else:
                self.reader.wait(event)

    def number(self) -> int:
        self.sent += 1
        return self.sent

    def finish(self) -> None:
        for message in self.held:
            self.deliver(message)
        while True:
            before = len(self.handled)
            self.take_in(self.reader.overlooked())
            self.handled += taken(self.reader)
            if len(self.handled) == before:
                return


@pytest.mark.parametrize(("backlog", "seen"), [(3, 4), (1000, 8192)])
def test_each_event_comes_once_and_in_the_order_of_its_sender_whatever_becomes_of_the_datagrams(
    backlog: int, seen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_reader, "BACKLOG", backlog)
    monkeypatch.setattr(mailbox_reader, "SEEN", seen)

    @given(STEPS)
    @settings(max_examples=300, deadline=None)
    def hold(steps: list[tuple[Any, ...]]) -> None:
        model = Model()
        for step in steps:
            model.step(*step)
        model.finish()
        model.db.close()
        assert sorted(event.payload for event in model.handled) == list(range(1, model.sent + 1))
        for sender in "abcr":
            mine = [event.payload for event in model.handled if event.source == sender and event.type != "urgent"]
            assert mine == sorted(mine)

    hold()


def test_a_mailbox_that_cannot_be_read_is_an_outage(db: Database) -> None:
    outage = Outage(Counters(), None, "the store takes nothing", str)
    db.close()

    assert MailboxReader(db, "m", outage).fetch() == []
    assert outage.lasts
