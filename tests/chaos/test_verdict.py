"""The verdict sees what is wrong: each broken promise is planted, and found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.chaos import crashing
from tests.chaos.load import Accepted
from tests.chaos.verdict import Evidence, faults


def good() -> Evidence:
    """Return the evidence of a job and two events without faults."""
    accepted = Accepted(jobs={"job-1": "complete"}, events={"tick-1": [1], "tick-2": [2]})
    notes = []
    for key in ("tick-1", "tick-2"):
        notes.append(("counter", "activity_log", {"payload_keys": ["key", key]}))
        notes.append(("counter", "state_change", {"event_trigger": "tick"}))
    row = {"target_machine": "counter", "source_machine": "s", "event_type": "tick", "status": "processed"}
    return Evidence(
        accepted,
        [
            ["begin", "job-1", "1", "worker", "77"],
            ["end", "job-1", "1", "worker", "77"],
            ["record", "counter", "tick-1"],
            ["record", "counter", "tick-2"],
        ],
        {"job-1": {"job_id": "job-1", "status": "completed", "attempts": 1, "result": '{"attempt": 1}'}},
        {"job-1": [(1, "completed")]},
        [{**row, "id": number, "payload": {"key": f"tick-{number}"}} for number in (1, 2)],
        [*notes, ("worker", "job_completed", {"job_id": "job-1"})],
    )


def test_when_all_is_well_nothing_is_found() -> None:
    assert faults(good(), resuming={"counter"}) == []


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (lambda e: e.accepted.jobs.update(another="complete"), "job another was accepted and is gone"),
        (lambda e: e.jobs["job-1"].update(status="failed"), "job job-1, complete, is failed"),
        (lambda e: e.jobs["job-1"].update(status="processing"), "job job-1, complete, is processing"),
        (lambda e: e.notes.append(e.notes[-1]), "job job-1 was ended 2 times"),
        (lambda e: e.journal.append(e.journal[0]), "job job-1 was begun 2 times in attempt 1"),
        (lambda e: e.jobs["job-1"].update(result='{"attempt": 0}'), "was completed by attempt 0, held by attempt 1"),
        (lambda e: e.journal.pop(1), "attempt 1 never came to its end"),
        (lambda e: e.attempts["job-1"].append((2, "completed")), "its attempts were ['completed', 'completed']"),
        (lambda e: e.attempts["job-1"].clear(), "has 1 attempts, its history is []"),
        (lambda e: e.accepted.events.update({"tick-3": [3]}), "event tick-3 was accepted as 3 and is gone"),
        (lambda e: e.events[0].update(status="pending"), "event tick-1 (1) is pending"),
        (lambda e: e.events[0].update(status="expired"), "event tick-1 is settled in 0 rows, and 1 times on record"),
        (lambda e: e.notes.insert(0, e.notes[0]), "event tick-1 is settled in 1 rows, and 2 times on record"),
        (lambda e: e.events.append({**e.events[0], "id": 3}), "event tick-1 was sent 1 times, and has 2 rows"),
        (lambda e: e.notes.pop(1), "counter moved 1 times by tick, of which it had 2"),
        (lambda e: e.notes.reverse(), "counter heard s out of order"),
        (lambda e: e.journal.pop(), "counter moved by tick-2, and its action never ran"),
        (lambda e: e.accepted.ordered.update({"ordered-9": "complete"}), "told-9, of an order that is processed, was"),
    ],
)  # fmt: skip
def test_a_broken_promise_is_found(plant: Callable[[Evidence], object], said: str) -> None:
    evidence = good()
    plant(evidence)
    assert any(said in fault for fault in faults(evidence, resuming={"counter"}))


def test_a_crash_point_whose_function_is_gone_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no_such_thing"):
        crashing.arm("before", "storage.jobs:no_such_thing", 1)
