"""Test the limit of a context: beyond it an action fails, and the earlier values stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from statemachine_engine import Machine, Runtime
from statemachine_engine.actors.jobs.job_context import put_job
from statemachine_engine.actors.machine import context_limit
from statemachine_engine.actors.machine.context_limit import ContextFull, ContextLimit, size_of
from statemachine_engine.storage import problems
from tests.support.journal import Journal
from tests.support.until import until

MOST = 1000
MB, MIB = 100_000, 1024 * 1024

Start = Callable[..., Machine]
Change = Callable[[dict[str, Any]], Any]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand characters in place of 16 million."""
    monkeypatch.setattr(context_limit, "MOST", MOST)


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch, narrow: None) -> ContextLimit:
    """A narrow one that measures after each action, not once a second."""
    monkeypatch.setattr(context_limit, "EVERY_S", 0.0)
    monkeypatch.setattr(context_limit, "REST", 0)
    return ContextLimit()


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> ContextLimit:
    """Return a limit of 1.6 MiB that measures the whole context first, and later only what it must."""
    monkeypatch.setattr(context_limit, "MOST", 16 * MIB // 10)
    monkeypatch.setattr(context_limit, "EVERY_S", 3600.0)
    return ContextLimit()


def act(limit: ContextLimit, context: dict[str, Any], change: Change, *, puts_back: bool = False) -> None:
    """Run an action that makes this change."""
    before = limit.before(context, puts_back=puts_back)
    try:
        change(context)
    finally:
        limit.after(context, before)


@pytest.mark.parametrize("value", ["x" * MOST, ["x"] * MOST, {str(n): n for n in range(MOST)}, [[b"x" * MOST]]])
def test_what_does_not_fit_is_taken_out_again_and_the_error_says_what_it_was(limit: ContextLimit, value: Any) -> None:
    context = {"kept": "a", "result": "old"}

    with pytest.raises(ContextFull, match=r"the context would hold .* MiB, .* MiB of it in result, and may hold"):
        act(limit, context, lambda found: found.update(result=value, new="b"))

    assert context == {"kept": "a", "result": "old"}


ADDING: dict[str, Callable[[dict[str, Any], int], Any]] = {
    "texts": lambda found, n: found.update({f"k{n}": "x" * MB}),
    "keys": lambda found, n: found.update({"x" * MB + str(n): 1}),
    "bytes": lambda found, n: found.update({f"k{n}": bytes(MB)}),
    "tuples": lambda found, n: found.update({f"k{n}": ("x" * 1000,) * 100}),
    "sets": lambda found, n: found.update({f"k{n}": {"x" * MB}}),
    "a list of texts": lambda found, n: found.setdefault("all", []).append("x" * MB),
    "a list of numbers": lambda found, n: found.setdefault("all", []).extend([0] * (MB // 3)),
    "a mapping": lambda found, n: found.setdefault("by", {}).update({str(n): "x" * MB}),
}


@pytest.mark.parametrize("kind", ADDING)
def test_many_actions_that_add_end_with_the_first_that_is_over_the_limit(unhurried: ContextLimit, kind: str) -> None:
    context: dict[str, Any] = {}
    for n in range(16):
        act(unhurried, context, lambda found, n=n: ADDING[kind](found, n))  # type: ignore[misc]
    keys, size = set(context), size_of(context)

    for n in range(16, 20):
        with pytest.raises(
            ContextFull, match=r"would hold 1\.\d MiB, .* and may hold 1\.6 MiB: what this .* is not kept"
        ):
            act(unhurried, context, lambda found, n=n: ADDING[kind](found, n))  # type: ignore[misc]

    assert (set(context), size_of(context)) == (keys, size)


def test_an_object_that_is_not_json_counts_as_its_repr_and_one_without_a_repr_not_at_all() -> None:
    class Client:
        def __init__(self) -> None:
            self.data = "x" * MOST

        def __repr__(self) -> str:
            return "client"

    class Broken:
        def __repr__(self) -> str:
            raise ValueError

    circle: list[Any] = ["x" * MOST]
    circle.append(circle)
    assert size_of({"a": Client(), "b": Broken(), "c": circle}) == 3 + len('"client"')


def test_an_action_that_adds_nothing_does_not_measure_what_is_there(unhurried: ContextLimit) -> None:
    class Value:
        measured = 0

        def __repr__(self) -> str:
            self.measured += 1
            return ""

    value = Value()
    context: dict[str, Any] = {"kept": [value]}
    for n in range(100):
        act(unhurried, context, lambda found, n=n: found.update(n=n))  # type: ignore[misc]

    assert value.measured < 5


@pytest.mark.usefixtures("narrow")
def test_texts_under_ever_new_keys_end_at_the_bound_at_once() -> None:
    limit, context = ContextLimit(), dict[str, Any]()

    failed = failures(limit, context, lambda found: found.update({f"k{len(found)}": "x" * 100}))

    assert failed == 91
    assert len(context) == 9
    assert size_of(context) <= MOST


GROWING: dict[str, Change] = {
    "list": lambda found: found["all"].append("x" * 90),
    "mapping": lambda found: found["by"].update({str(len(found["by"])): "x" * 90}),
}


@pytest.mark.parametrize("kind", GROWING)
def test_a_list_or_mapping_that_grows_where_it_stands_grows_no_more_beyond_it(limit: ContextLimit, kind: str) -> None:
    context: dict[str, Any] = {"all": [], "by": {}}
    assert failures(limit, context, GROWING[kind]) > 85
    assert size_of(context) < MOST + 200


def test_what_grows_deep_within_a_value_ends_its_actions_until_there_is_room(limit: ContextLimit) -> None:
    context: dict[str, Any] = {"tree": {"leaves": []}}
    leaves = context["tree"]["leaves"]

    assert failures(limit, context, lambda found: leaves.append("x" * 90)) > 85

    assert len(leaves) < 13
    act(limit, context, lambda found: found.update(tree=None), puts_back=True)
    act(limit, context, lambda found: found.update(a="b"))
    assert context == {"tree": None, "a": "b"}


def failures(limit: ContextLimit, context: dict[str, Any], change: Change) -> int:
    """Return how many of a hundred actions with this change fail."""
    failed = 0
    for _ in range(100):
        try:
            act(limit, context, change)
        except ContextFull:
            failed += 1
    return failed


def test_an_action_that_adds_nothing_or_makes_room_does_not_fail(limit: ContextLimit) -> None:
    context: dict[str, Any] = {"large": "x" * 2 * MOST}
    for change in (lambda found: None, lambda found: found.update(large="x"), lambda found: found.update(a="b")):
        act(limit, context, change, puts_back=True)
    assert context == {"large": "x", "a": "b"}


def test_an_action_that_adds_and_fails_adds_nothing_either(limit: ContextLimit) -> None:
    context: dict[str, Any] = {}

    def fill_and_fail(found: dict[str, Any]) -> None:
        found["large"] = "x" * MOST
        raise ValueError

    with pytest.raises(ContextFull):
        act(limit, context, fill_and_fail)
    assert context == {}


def test_what_events_and_jobs_bring_does_not_count(limit: ContextLimit) -> None:
    context: dict[str, Any] = {"event_data": {"payload": "x" * 2 * MOST}}
    job = {"job_id": "j", "data": {"text": "x" * 2 * MOST}}
    act(limit, context, lambda found: put_job(found, job))
    act(limit, context, lambda found: found.update(a="b"))
    assert context["a"] == "b"


def test_an_action_that_takes_from_a_list_does_not_fail(limit: ContextLimit) -> None:
    context: dict[str, Any] = {"all": ["x" * MOST, "x" * MOST]}
    act(limit, context, lambda found: found.update(first=found["all"].pop(0)), puts_back=True)
    assert len(context["first"]) == MOST


@pytest.mark.usefixtures("narrow")
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
    machine.wait_for("full", 30)

    (error,) = journal.wait_for("error")
    assert "the context would hold" in error["error_message"]
    assert "write large results into a file and keep its path" in machine.context["last_error"]
    assert "result" not in machine.context
    machine.send("again")
    machine.wait_for("waiting", 30)
    until(lambda: ("context_full", 1, 0.0) in problems.counts(runtime.db))
