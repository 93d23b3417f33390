"""The audit log, on every database."""

from __future__ import annotations

import threading

from statemachine_engine.storage import audit, machines, mailbox
from statemachine_engine.storage.audit import Mark, Note, Received, StateRow
from statemachine_engine.storage.engine.database import Database
from tests.support.factories import acquire
from tests.support.manual_clock import ManualClock

STEP = {"from_state": "a", "to_state": "b", "event_trigger": "go"}


def test_a_batch_writes_all_kinds_of_records(db: Database) -> None:
    acquire(db, "m")
    message = mailbox.post(db, "m", "go")

    ids = audit.write(
        db,
        [
            Note("m", "state_change", STEP, 1000.123),
            StateRow("m", "b", 1000.1, "run-1"),
            Mark(message.id, "processed"),
            Received("m", "raw", {"x": 1}, "j1", "nc", "ignored", 1000.2),
            StateRow("m", "c", 1000.3, "run-1"),
            Note("m", "activity_log", {"message": "hi"}, 1000.4),
        ],
    )

    assert [event.id for event in audit.since(db, 0)] == ids
    row = machines.get(db, "m")
    assert row is not None
    assert (row.current_state, row.last_activity) == ("c", 1000.3)
    assert [(row.event_type, row.status, row.payload) for row in mailbox.list_(db)] == [
        ("raw", "ignored", {"x": 1}),
        ("go", "processed", None),
    ]


def test_an_event_that_was_taken_is_processed_even_if_its_time_is_over_before_that_is_on_record(
    db: Database, clock: ManualClock
) -> None:
    message = mailbox.post(db, "m", "go", ttl_s=1)
    clock.advance(2)
    mailbox.expire(db)

    audit.write(db, [Mark(message.id, "processed")])

    assert [row.status for row in mailbox.list_(db)] == ["processed"]


def test_ids_come_in_the_order_of_the_notes(db: Database) -> None:
    for batch in range(3):
        ids = audit.write(db, [Note("m", f"{batch}-{number}", {}, 1000.0) for number in range(700)])
        events = audit.since(db, ids[0] - 1, limit=1000)

        assert [event.id for event in events] == ids
        assert [event.type for event in events] == [f"{batch}-{number}" for number in range(700)]


def test_a_reader_that_follows_writers_misses_nothing(db: Database) -> None:
    def write_some() -> None:
        for _ in range(30):
            audit.write(db, [Note("m", "n", {}, 1.0)] * 3)

    writers = [threading.Thread(target=write_some) for _ in range(4)]
    for writer in writers:
        writer.start()
    seen: list[int] = []
    while any(writer.is_alive() for writer in writers) or audit.newest_id(db) > (seen or [0])[-1]:
        seen.extend(event.id for event in audit.since(db, (seen or [0])[-1]))

    assert len(seen) == 360
    assert seen == sorted(set(seen))


def test_a_state_is_recorded_for_a_machine_that_is_not_registered(db: Database) -> None:
    audit.write(db, [StateRow("m", "a", 5.0, "run-1")])

    row = machines.get(db, "m")
    assert row is not None
    assert (row.current_state, row.running) == ("a", False)


def test_an_event_says_itself_as_the_envelope_of_the_sockets(db: Database) -> None:
    [number] = audit.write(db, [Note("m", "state_change", STEP, 1000.123)])

    assert audit.since(db, 0)[0].envelope() == {
        "machine_name": "m",
        "type": "state_change",
        "event_type": "state_change",
        "payload": STEP,
        "id": number,
        "timestamp": 1000.123,
    }


def test_reading_on_picks_machines_and_types(db: Database) -> None:
    audit.write(db, [Note(name, kind, {}, 1.0) for name in "ab" for kind in ("x", "y")])

    assert len(audit.since(db, 0, limit=3)) == 3
    assert [event.type for event in audit.since(db, 0, machines=["b"])] == ["x", "y"]
    assert [event.machine for event in audit.since(db, 0, machines=["a", "b"], types=["y"])] == ["a", "b"]
    assert audit.since(db, audit.newest_id(db)) == []


def test_transitions_are_listed_newest_first_with_their_times(db: Database, clock: ManualClock) -> None:
    for name in ("m", "n"):
        audit.write(db, [Note(name, "state_change", STEP, clock.now() + 0.001)])
    audit.write(db, [Note("m", "activity_log", {}, clock.now())])

    rows = audit.transitions(db)
    assert [row.machine for row in rows] == ["n", "m"]
    assert rows[0].as_dict() == {
        "id": rows[0].id,
        "machine": "n",
        "from_state": "a",
        "to_state": "b",
        "event": "go",
        "timestamp": clock.now() + 0.001,
    }
    assert len(audit.transitions(db, "m")) == 1
    assert len(audit.transitions(db, limit=1)) == 1


def test_hours_limit_how_far_back_history_goes(db: Database, clock: ManualClock) -> None:
    audit.write(db, [Note("m", "state_change", STEP, clock.now())])
    clock.advance(3 * 3600)
    audit.write(db, [Note("m", "state_change", STEP, clock.now())])

    assert len(audit.transitions(db, "m", hours=2)) == 1
    assert len(audit.transitions(db, "m", hours=4, limit=None)) == 2


def test_transitions_are_counted_by_machine_states_and_event(db: Database, clock: ManualClock) -> None:
    now = clock.now()
    old = [Note("m", "state_change", STEP, now - 7200)] * 3
    new = [Note("m", "state_change", {**STEP, "to_state": "c"}, now)] * 6000
    others = [Note("n", "state_change", STEP, now), Note("m", "error", STEP, now), Note("m", "state_change", {}, now)]
    audit.write(db, [*old, *new, *others])

    assert audit.transition_counts(db, "m") == {("a", "b", "go"): 3, ("a", "c", "go"): 6000}
    assert audit.transition_counts(db, "m", hours=1) == {("a", "c", "go"): 6000}
    assert audit.transition_counts(db, "nobody") == {}


def test_errors_are_listed_with_their_jobs(db: Database) -> None:
    audit.write(
        db, [Note("m", "error", {"error_message": "boom", "job_id": "j1"}, 1000.5), Note("m", "error", {}, 2.0)]
    )

    [bare, row] = audit.errors(db, "m")
    assert (row.error_message, row.job_id, row.timestamp) == ("boom", "j1", 1000.5)
    assert bare.as_dict()["error_message"] is None


def test_a_note_with_any_payload_is_recorded(db: Database) -> None:
    audit.write(db, [Note("m", "n", {"nan": float("nan"), "object": {1, 2}, "nul": "\0"}, 1.0)])

    payload = audit.since(db, 0)[0].payload
    assert payload["nan"] is None
    assert payload["nul"] == "\0"


def test_an_empty_batch_is_no_batch(db: Database) -> None:
    assert audit.write(db, []) == []
    assert audit.newest_id(db) == 0


def test_pruning_deletes_old_events_and_never_reuses_their_ids(db: Database, clock: ManualClock) -> None:
    old = audit.write(db, [Note("m", "old", {}, clock.now())] * 10)
    clock.advance(100)
    new = audit.write(db, [Note("m", "new", {}, clock.now())])

    assert audit.prune(db, older_than_s=50) == len(old)
    assert [event.id for event in audit.since(db, 0)] == new
    clock.advance(100)
    assert audit.prune(db, older_than_s=50) == 1
    assert audit.prune(db, older_than_s=50) == 0
    assert audit.write(db, [Note("m", "next", {}, clock.now())])[0] > new[0]


def test_the_newest_event_from_before_a_moment_is_found(db: Database, clock: ManualClock) -> None:
    assert audit.last_before(db, clock.now()) == 0
    ids = audit.write(db, [Note("m", "n", {}, clock.now() + seconds) for seconds in range(3)])

    assert audit.last_before(db, clock.now()) == 0
    assert audit.last_before(db, clock.now() + 2) == ids[1]
    assert audit.last_before(db, clock.now() + 60) == ids[2]


def test_the_past_is_read_backwards_page_by_page(db: Database) -> None:
    ids = audit.write(db, [Note(f"m{n % 2}", "n" if n % 3 else "t", {"n": n}, 1000.0) for n in range(9)])

    assert [event.id for event in audit.before(db, None, 3)] == ids[:-4:-1]
    assert [event.id for event in audit.before(db, ids[3])] == ids[2::-1]
    assert [event.payload["n"] for event in audit.before(db, None, machines=["m0"], types=["n"])] == [8, 4, 2]
    assert audit.oldest_id(db) == ids[0]


def test_moves_are_counted_from_an_id_on(db: Database) -> None:
    def step(source: object, target: str) -> Note:
        return Note("m", "state_change", {"from_state": source, "to_state": target, "event_trigger": "go"}, 1000.0)

    first, *_ = audit.write(db, [step("a", "b"), step("b", "a"), Note("m", "error", {}, 1.0)])
    last, counts = audit.moves_after(db, "m", 0)
    assert counts == {("a", "b", "go"): 1, ("b", "a", "go"): 1}
    audit.write(db, [step("a", "b"), Note("other", "state_change", STEP, 1.0)])

    assert audit.moves_after(db, "m", last)[1] == {("a", "b", "go"): 1}
    assert audit.moves_after(db, "m", first)[1].total() == 2
    assert audit.moves_after(db, "nobody", 5) == (5, {})
