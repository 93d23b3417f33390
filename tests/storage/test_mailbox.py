"""Mailboxes, on every database."""

from __future__ import annotations

import pytest

from statemachine_engine.storage import mailbox
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import PayloadTooLarge
from tests.support.manual_clock import ManualClock


def kinds(messages: list[mailbox.MailboxMessage]) -> list[str]:
    return [message.type for message in messages]


def test_a_posted_event_waits_in_the_mailbox_of_its_target(db: Database, clock: ManualClock) -> None:
    posted = mailbox.post(db, "m", "go", {"n": [1, None]}, job_id="j1", source="cli")
    mailbox.post(db, "other", "go")

    [message] = mailbox.unread(db, "m")
    assert message == posted
    assert (message.payload, message.job_id, message.source, message.created_at) == (
        {"n": [1, None]},
        "j1",
        "cli",
        clock.now(),
    )


def test_events_come_in_the_order_of_their_ids(db: Database) -> None:
    for number in range(10):
        mailbox.post(db, "m", f"e{number}")

    messages = mailbox.unread(db, "m", limit=4)
    rest = mailbox.unread(db, "m", after_id=messages[-1].id)

    assert kinds(messages + rest) == [f"e{number}" for number in range(10)]


def test_an_event_names_the_one_before_it_so_that_a_gap_shows(db: Database) -> None:
    first = mailbox.post(db, "m", "a")
    mailbox.post(db, "other", "x")
    mailbox.settle(db, [first.id], "processed")
    second = mailbox.post(db, "m", "b")

    assert (first.after, second.after) == (None, first.id)
    assert mailbox.post(db, "m", "c").after == second.id


def test_one_event_to_several_machines_is_a_row_each(db: Database) -> None:
    messages = mailbox.post_many(db, ["a", "b"], "go", {"x": 1}, source="cli")

    assert [message.target for message in messages] == ["a", "b"]
    assert [mailbox.unread(db, name)[0].payload for name in ("a", "b")] == [{"x": 1}, {"x": 1}]


def test_an_event_expires_if_no_machine_reads_it(db: Database, clock: ManualClock) -> None:
    mailbox.post(db, "m", "soon", ttl_s=10)
    mailbox.post(db, "m", "never", ttl_s=None)
    mailbox.post(db, "m", "tomorrow")
    clock.advance(10)

    assert kinds(mailbox.unread(db, "m")) == ["never", "tomorrow"]
    assert mailbox.expire(db) == 1
    assert mailbox.expire(db) == 0
    assert [row.status for row in mailbox.list_(db)] == ["pending", "pending", "expired"]


def test_a_settled_event_is_not_read_again_and_keeps_its_first_mark(db: Database) -> None:
    message = mailbox.post(db, "m", "go")
    mailbox.settle(db, [message.id], "processed")
    mailbox.settle(db, [message.id], "ignored")

    [row] = mailbox.list_(db, target="m")
    assert (row.status, row.processed_at) == ("processed", "2027-01-15 08:00:00.000")
    assert mailbox.unread(db, "m") == []


def test_an_event_for_people_only_is_recorded_as_settled(db: Database) -> None:
    mailbox.post(db, "ui", "activity_log", {"message": "hi"}, status="processed")

    assert mailbox.unread(db, "ui") == []
    assert mailbox.list_(db)[0].processed_at is not None


def test_unread_events_are_picked_by_type_and_stay_unread(db: Database) -> None:
    for kind in ("a", "b", "a", "c"):
        mailbox.post(db, "m", kind)

    assert kinds(mailbox.unread(db, "m", types=["a", "c"], limit=2)) == ["a", "a"]
    assert kinds(mailbox.unread(db, "m", limit=9)) == ["a", "b", "a", "c"]
    assert len(mailbox.unread(db, "m")) == 4


def test_clearing_deletes_what_matches_all_that_is_given(db: Database) -> None:
    for target in ("m", "n"):
        for kind in ("a", "b"):
            mailbox.post(db, target, kind)
    mailbox.settle(db, [mailbox.unread(db, "n")[0].id], "processed")

    assert mailbox.clear(db, target="m", types=["a"]) == 1
    assert mailbox.clear(db, types=["a"], status="pending") == 0
    assert mailbox.clear(db, status="processed") == 1
    assert mailbox.clear(db) == 2


def test_an_id_is_never_used_twice(db: Database) -> None:
    newest = [mailbox.post(db, "m", "go").id for _ in range(3)][-1]
    mailbox.clear(db)

    assert mailbox.post(db, "m", "go").id > newest


def test_machines_with_unread_events_are_found_in_one_query(db: Database, clock: ManualClock) -> None:
    mailbox.post(db, "gone", "go", ttl_s=1)
    clock.advance(2)
    newest = [mailbox.post(db, name, "go").id for name in ("a", "b", "b")]
    mailbox.settle(db, [newest[0]], "processed")

    names = ["a", "b", "gone", *(f"m{number}" for number in range(1200))]
    assert mailbox.pending_targets(db, names) == {"b": newest[2]}


def test_a_payload_over_the_limit_is_refused(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "MAX_PAYLOAD_BYTES", 100)

    mailbox.post(db, "m", "fits", "x" * 98)
    with pytest.raises(PayloadTooLarge, match="101"):
        mailbox.post(db, "m", "does not", "x" * 99)


def test_a_large_payload_comes_back_whole(db: Database) -> None:
    payload = {"text": "ä" * 300_000}
    mailbox.post(db, "m", "go", payload)

    assert mailbox.unread(db, "m")[0].payload == payload


def test_listing_shows_the_newest_first(db: Database) -> None:
    for number in range(5):
        mailbox.post(db, "m", f"e{number}", {"n": number})

    rows = mailbox.list_(db, target="m", status="pending", limit=2)
    assert [row.event_type for row in rows] == ["e4", "e3"]
    assert rows[0].as_dict()["payload"] == {"n": 4}


def test_pruning_deletes_only_old_settled_events(db: Database, clock: ManualClock) -> None:
    old = mailbox.post(db, "m", "old")
    mailbox.settle(db, [old.id], "processed")
    mailbox.post(db, "m", "old but unread", ttl_s=None)
    clock.advance(100)
    mailbox.settle(db, [mailbox.post(db, "m", "new").id], "processed")

    assert mailbox.prune(db, older_than_s=50) == 1
    assert [row.event_type for row in mailbox.list_(db)] == ["new", "old but unread"]


def test_the_depth_counts_what_is_unread(db: Database, clock: ManualClock) -> None:
    mailbox.post_many(db, ["a", "b"], "go")
    mailbox.post(db, "a", "go")
    mailbox.post(db, "a", "go", ttl_s=1)
    mailbox.post(db, "c", "go", status="processed")
    clock.advance(5)

    assert mailbox.depths(db) == {"a": 2, "b": 1}
