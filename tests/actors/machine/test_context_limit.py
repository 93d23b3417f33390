"""What a context may hold: beyond it an action fails, and what was there before is there still."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from statemachine_engine import Machine, Runtime
from statemachine_engine.actors.jobs.job_context import hold_row
from statemachine_engine.actors.machine import context_limit
from statemachine_engine.actors.machine.context_limit import ContextFull, ContextLimit, size_of
from statemachine_engine.storage import problems
from tests.support.journal import Journal
from tests.support.until import until

MOST = 1000
MOST_REAL = 16 * 1024 * 1024

Start = Callable[..., Machine]
Change = Callable[[dict[str, Any]], Any]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand characters in place of 16 million."""
    monkeypatch.setattr(context_limit, "MOST", MOST)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch, narrow: None) -> ContextLimit:
    """A narrow one that measures after each action, not once a second."""
    monkeypatch.setattr(context_limit, "EVERY_S", 0.0)
    monkeypatch.setattr(context_limit, "REST", 0)
    return ContextLimit()


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> ContextLimit:
    """One of 16 MiB that measures the whole at first, and then only where it has to."""
    monkeypatch.setattr(context_limit, "EVERY_S", 3600.0)
    return ContextLimit()


def act(room: ContextLimit, context: dict[str, Any], change: Change, *, puts_back: bool = False) -> None:
    """An action that makes this change."""
    before = room.before(context, puts_back=puts_back)
    try:
        change(context)
    finally:
        room.after(context, before)


@pytest.mark.parametrize("value", ["x" * MOST, ["x"] * MOST, {str(n): n for n in range(MOST)}, [[b"x" * MOST]]])
def test_what_does_not_fit_is_taken_out_again_and_the_error_says_what_it_was(room: ContextLimit, value: Any) -> None:
    context = {"kept": "a", "result": "old"}

    with pytest.raises(ContextFull, match=r"the context would hold .* MiB, .* MiB of it in result, and may hold"):
        act(room, context, lambda found: found.update(result=value, new="b"))

    assert context == {"kept": "a", "result": "old"}


class Thing:
    """An object of a user's."""

    def __init__(self, data: Any, before: Any = None) -> None:
        self.data, self.before = data, before


class Slotted:
    """One without a mapping of its attributes."""

    __slots__ = ("data",)

    def __init__(self, data: Any) -> None:
        self.data = data


MB = 1_000_000
REAL: dict[str, Callable[[dict[str, Any], int], Any]] = {
    "texts": lambda found, n: found.update({f"k{n}": "x" * MB}),
    "keys": lambda found, n: found.update({"x" * MB + str(n): 1}),
    "bytes": lambda found, n: found.update({f"k{n}": bytes(MB)}),
    "a large number": lambda found, n: found.update({f"k{n}": 1 << 8 * MB}),
    "tuples": lambda found, n: found.update({f"k{n}": ("x" * 1000,) * 1000}),
    "sets": lambda found, n: found.update({f"k{n}": {"x" * MB}}),
    "objects": lambda found, n: found.update({f"k{n}": Thing({"text": "x" * MB})}),
    "objects with slots": lambda found, n: found.update({f"k{n}": Slotted("x" * MB)}),
    "a chain of objects": lambda found, n: found.update(last=Thing("x" * MB, found.get("last"))),
    "a list of bytes": lambda found, n: found.setdefault("all", []).append(bytes(MB)),
    "a list of numbers": lambda found, n: found.setdefault("all", []).extend([n] * (MB // 8)),
    "a mapping": lambda found, n: found.setdefault("by", {}).update({n: "x" * MB}),
}


@pytest.mark.parametrize("kind", REAL)
def test_a_megabyte_an_action_ends_with_the_first_that_is_over_16_mib(unhurried: ContextLimit, kind: str) -> None:
    context: dict[str, Any] = {}
    for n in range(16):
        act(unhurried, context, lambda found, n=n: REAL[kind](found, n))  # type: ignore[misc]
    keys, size = set(context), size_of(context)

    for n in range(16, 20):
        with pytest.raises(
            ContextFull, match=r"at least 16\.\d MiB, .* and may hold 16\.0 MiB: what this .* is not kept"
        ):
            act(unhurried, context, lambda found, n=n: REAL[kind](found, n))  # type: ignore[misc]

    assert (set(context), size_of(context)) == (keys, size)


def test_what_grows_deep_within_a_value_is_measured_when_the_process_has_grown(
    unhurried: ContextLimit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context_limit, "GROWN", 2 * MB)
    context: dict[str, Any] = {"tree": {"leaves": [0]}}
    leaves, most = context["tree"]["leaves"], grown_to() + 50 * MB

    def grow() -> None:
        while grown_to() < most:
            act(unhurried, context, lambda found: leaves.append("x" * MB))

    with pytest.raises(ContextFull, match="what this action put there deep within its values cannot be taken out"):
        grow()

    with pytest.raises(ContextFull, match=r"it is not run, for the context holds at least .* of it in tree"):
        act(unhurried, context, lambda found: leaves.append("x" * MB))


def grown_to() -> int:
    """Bytes that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Looked(list[Any]):
    """A list that counts how often somebody goes through it."""

    looks = 0

    def __iter__(self) -> Iterator[Any]:
        self.looks += 1
        return super().__iter__()


def test_measuring_goes_no_further_than_to_the_bound() -> None:
    long, later = Looked([0] * (MOST_REAL // 8)), Looked(["x"])

    assert size_of({"long": long}) > MOST_REAL
    assert size_of({"all": ["x" * MOST_REAL, later]}) > MOST_REAL

    assert (long.looks, later.looks) == (0, 0)


def test_an_action_that_adds_nothing_costs_no_look_into_what_is_there(unhurried: ContextLimit) -> None:
    kept = Looked([1, 2, 3])
    context: dict[str, Any] = {"kept": kept}

    for n in range(100):
        act(unhurried, context, lambda found, n=n: found.update(n=n))  # type: ignore[misc]

    assert kept.looks < 5


def test_an_object_counts_without_the_program_that_it_refers_to() -> None:
    client = Thing(Slotted(["x" * MB] * 20))

    assert size_of({"client": client, "kind": Thing, "module": context_limit, "function": size_of}) < 1000


@pytest.mark.usefixtures("narrow")
def test_texts_under_ever_new_keys_end_at_the_bound_at_once() -> None:
    room, context = ContextLimit(), dict[str, Any]()

    failed = failures(room, context, lambda found: found.update({f"k{len(found)}": "x" * 100}))

    assert failed == 92
    assert len(context) == 8
    assert size_of(context) <= MOST


GROWING: dict[str, Change] = {
    "list": lambda found: found["all"].append("x" * 90),
    "mapping": lambda found: found["by"].update({str(len(found["by"])): "x" * 90}),
}


@pytest.mark.parametrize("kind", GROWING)
def test_a_list_or_mapping_that_grows_where_it_stands_grows_no_more_beyond_it(room: ContextLimit, kind: str) -> None:
    context: dict[str, Any] = {"all": [], "by": {}}
    assert failures(room, context, GROWING[kind]) > 85
    assert size_of(context) < MOST + 200


def test_what_grows_deep_within_a_value_ends_its_actions_until_there_is_room(room: ContextLimit) -> None:
    context: dict[str, Any] = {"tree": {"leaves": []}}
    leaves = context["tree"]["leaves"]

    assert failures(room, context, lambda found: leaves.append("x" * 90)) > 85

    assert len(leaves) < 13
    act(room, context, lambda found: found.update(tree=None), puts_back=True)
    act(room, context, lambda found: found.update(a="b"))
    assert context == {"tree": None, "a": "b"}


def failures(room: ContextLimit, context: dict[str, Any], change: Change) -> int:
    """How many of a hundred actions that make this change fail."""
    failed = 0
    for _ in range(100):
        try:
            act(room, context, change)
        except ContextFull:
            failed += 1
    return failed


def test_who_adds_nothing_or_makes_room_does_not_fail(room: ContextLimit) -> None:
    context: dict[str, Any] = {"large": "x" * 2 * MOST}
    for change in (lambda found: None, lambda found: found.update(large="x"), lambda found: found.update(a="b")):
        act(room, context, change, puts_back=True)
    assert context == {"large": "x", "a": "b"}


def test_an_action_that_adds_and_fails_adds_nothing_either(room: ContextLimit) -> None:
    context: dict[str, Any] = {}

    def fill_and_fail(found: dict[str, Any]) -> None:
        found["large"] = "x" * MOST
        raise ValueError

    with pytest.raises(ContextFull):
        act(room, context, fill_and_fail)
    assert context == {}


def test_what_events_and_jobs_bring_does_not_count(room: ContextLimit) -> None:
    context: dict[str, Any] = {"event_data": {"payload": "x" * 2 * MOST}}
    job = {"job_id": "j", "data": {"text": "x" * 2 * MOST}}
    act(room, context, lambda found: hold_row(found, job))
    act(room, context, lambda found: found.update(a="b"))
    assert context["a"] == "b"


def test_who_takes_from_a_list_to_make_room_does_not_fail(room: ContextLimit) -> None:
    context: dict[str, Any] = {"all": ["x" * MOST, "x" * MOST]}
    act(room, context, lambda found: found.update(first=found["all"].pop(0)), puts_back=True)
    assert len(context["first"]) == MOST


def test_a_value_counts_once_however_often_it_is_there_and_a_circle_has_an_end() -> None:
    circle: list[Any] = ["x" * 100]
    circle.append(circle)
    assert size_of({"a": circle, "b": circle}) < 200


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
