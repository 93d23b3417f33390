"""What a context may hold: beyond it an action fails, and what was there before is there still."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from statemachine_engine import Machine, Runtime
from statemachine_engine.actors import contextroom
from statemachine_engine.actors.contextroom import ContextFull, ContextRoom, size_of
from statemachine_engine.actors.jobcontext import hold_row
from statemachine_engine.storage import troubles
from tests.support.journal import Journal
from tests.support.until import until

MOST = 1000

Start = Callable[..., Machine]
Change = Callable[[dict[str, Any]], Any]


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand characters in place of 16 million."""
    monkeypatch.setattr(contextroom, "MOST", MOST)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> ContextRoom:
    """One that measures after each action, not once a second."""
    monkeypatch.setattr(contextroom, "EVERY_S", 0.0)
    monkeypatch.setattr(contextroom, "REST", 0)
    return ContextRoom()


def act(room: ContextRoom, context: dict[str, Any], change: Change, *, puts_back: bool = False) -> None:
    """An action that makes this change."""
    before = room.before(context, puts_back=puts_back)
    try:
        change(context)
    finally:
        room.after(context, before, None)


@pytest.mark.parametrize("value", ["x" * MOST, ["x"] * MOST, {str(n): n for n in range(MOST)}, [[b"x" * MOST]]])
def test_what_does_not_fit_is_taken_out_again_and_the_error_says_what_it_was(room: ContextRoom, value: Any) -> None:
    context = {"kept": "a", "result": "old"}

    with pytest.raises(ContextFull, match=r"the context would hold .* MiB, .* MiB of it in result, and may hold"):
        act(room, context, lambda found: found.update(result=value, new="b"))

    assert context == {"kept": "a", "result": "old"}


def test_texts_under_ever_new_keys_end_at_the_bound_at_once() -> None:
    room, context = ContextRoom(), dict[str, Any]()

    failed = failures(room, context, lambda found: found.update({f"k{len(found)}": "x" * 100}))

    assert failed == 91
    assert len(context) == 9
    assert size_of(context) <= MOST


GROWING: dict[str, Change] = {
    "list": lambda found: found["all"].append("x" * 90),
    "mapping": lambda found: found["by"].update({str(len(found["by"])): "x" * 90}),
}


@pytest.mark.parametrize("kind", GROWING)
def test_a_list_or_mapping_that_grows_where_it_stands_grows_no_more_beyond_it(room: ContextRoom, kind: str) -> None:
    context: dict[str, Any] = {"all": [], "by": {}}
    assert failures(room, context, GROWING[kind]) > 85
    assert size_of(context) < MOST + 200


def test_what_grows_deep_within_a_value_ends_its_actions_at_twice_the_bound(room: ContextRoom) -> None:
    context: dict[str, Any] = {"tree": {"leaves": []}}
    leaves = context["tree"]["leaves"]

    assert failures(room, context, lambda found: leaves.append("x" * 90)) > 85

    assert len(leaves) < 30
    act(room, context, lambda found: found.update(tree=None), puts_back=True)
    act(room, context, lambda found: found.update(a="b"))
    assert context == {"tree": None, "a": "b"}


def failures(room: ContextRoom, context: dict[str, Any], change: Change) -> int:
    """How many of a hundred actions that make this change fail."""
    failed = 0
    for _ in range(100):
        try:
            act(room, context, change)
        except ContextFull:
            failed += 1
    return failed


def test_who_adds_nothing_or_makes_room_does_not_fail(room: ContextRoom) -> None:
    context: dict[str, Any] = {"large": "x" * 2 * MOST}
    for change in (lambda found: None, lambda found: found.update(large="x"), lambda found: found.update(a="b")):
        act(room, context, change, puts_back=True)
    assert context == {"large": "x", "a": "b"}


def test_an_action_that_adds_and_fails_adds_nothing_either(room: ContextRoom) -> None:
    context: dict[str, Any] = {}

    def fill_and_fail(found: dict[str, Any]) -> None:
        found["large"] = "x" * MOST
        raise ValueError

    with pytest.raises(ContextFull):
        act(room, context, fill_and_fail)
    assert context == {}


def test_what_events_and_jobs_bring_does_not_count(room: ContextRoom) -> None:
    context: dict[str, Any] = {"event_data": {"payload": "x" * 2 * MOST}}
    job = {"job_id": "j", "data": {"text": "x" * 2 * MOST}}
    act(room, context, lambda found: hold_row(found, job))
    act(room, context, lambda found: found.update(a="b"))
    assert context["a"] == "b"


def test_a_value_counts_once_however_often_it_is_there_and_a_circle_has_an_end() -> None:
    circle: list[Any] = ["x" * 100]
    circle.append(circle)
    assert size_of({"a": circle, "b": circle}) < 200


def test_a_machine_takes_the_error_path_of_such_an_action_and_goes_on(
    start: Start, journal: Journal, runtime: Runtime
) -> None:
    machine = start("""
        initial_state: waiting
        transitions:
          - {from: waiting, to: filling, event: fill}
          - {from: filling, to: full, event: error}
          - {from: full, to: waiting, event: again}
        actions:
          filling: [{type: bash, command: "head -c 2000 /dev/zero | tr '\\\\0' x", store_as: result, success: filled}]
    """)
    machine.send("fill")
    machine.wait_for("full", 5)

    (error,) = journal.wait_for("error")
    assert "the context would hold" in error["error_message"]
    assert "write large results into a file and keep its path" in machine.context["last_error"]
    assert "result" not in machine.context
    machine.send("again")
    machine.wait_for("waiting", 5)
    until(lambda: ("context_full", 1, 0.0) in troubles.counts(runtime.db))
