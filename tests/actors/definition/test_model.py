"""Definitions answer lookups; durations are read in all their spellings."""

from __future__ import annotations

import pytest

from statemachine_engine.actors.definition.model import (
    Definition,
    Retry,
    State,
    Transition,
    parse_duration,
    timeouts_by_state,
)


def definition(*transitions: Transition) -> Definition:
    names = {name for t in transitions for name in (t.source, t.target) if name != "*"}
    return Definition("m", "a", {name: State(name) for name in sorted(names | {"a"})}, transitions)


def test_an_exact_source_comes_before_any_state_wherever_it_stands() -> None:
    anywhere, exact = Transition("*", "e", "x"), Transition("a", "e", "y")
    machine = definition(anywhere, exact)
    assert machine.find("a", "e") is exact
    assert machine.find("x", "e") is anywhere


def test_of_two_transitions_for_the_same_event_the_first_in_the_file_counts() -> None:
    first, second = Transition("a", "e", "x"), Transition("a", "e", "y")
    assert definition(first, second).find("a", "e") is first
    anywhere, again = Transition("*", "e", "x"), Transition("*", "e", "y")
    assert definition(anywhere, again).find("b", "e") is anywhere


def test_an_event_that_no_transition_takes_finds_nothing() -> None:
    assert definition(Transition("a", "e", "b")).find("b", "e") is None


def test_the_allowed_events_are_in_file_order_and_once_each() -> None:
    machine = definition(
        Transition("*", "stop", "b"), Transition("a", "e", "b"), Transition("b", "f", "a"), Transition("a", "stop", "a")
    )
    assert machine.allowed("a") == ["stop", "e"]
    assert machine.allowed("nowhere") == ["stop"]


def test_only_a_known_state_with_an_outcome_is_final() -> None:
    machine = Definition("m", "a", {"a": State("a"), "b": State("b", outcome="failure")})
    assert [machine.is_final(name) for name in ("a", "b", "c")] == [False, True, False]


def test_a_state_arms_its_own_timers_and_those_from_anywhere_that_lead_elsewhere() -> None:
    own = Transition("a", "timeout(5)", "b", timeout_s=5)
    away = Transition("*", "timeout(9)", "b", timeout_s=9)
    same_event = Transition("*", "timeout(5)", "c", timeout_s=5)
    armed = timeouts_by_state(["a", "b", "c"], [away, same_event, own, Transition("a", "e", "b")])
    assert armed == {"a": (own, away), "b": (same_event,), "c": (away,)}


def test_an_internal_timer_from_anywhere_arms_in_every_state() -> None:
    tick = Transition("*", "timeout(1)", "*", internal=True, timeout_s=1)
    assert timeouts_by_state(["a", "b"], [tick]) == {"a": (tick,), "b": (tick,)}


@pytest.mark.parametrize(
    ("transition", "interrupts"),
    [
        (Transition("a", "e", "b"), False),
        (Transition("a", "e", "b", interrupt=True), True),
        (Transition("*", "e", "b"), True),
        (Transition("*", "e", "b", interrupt=False), False),
        (Transition("*", "e", "*", internal=True), False),
        (Transition("a", "timeout(1)", "b", timeout_s=1), True),
        (Transition("a", "timeout(1)", "a", internal=True, timeout_s=1), False),
    ],
)
def test_timeouts_and_transitions_from_anywhere_act_at_once(transition: Transition, interrupts: bool) -> None:
    assert transition.interrupts is interrupts


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (5, 5.0),
        (0.5, 0.5),
        (0, 0.0),
        ("5", 5.0),
        (".5", 0.5),
        ("5.", 5.0),
        (" 2 ", 2.0),
        ("90s", 90.0),
        ("1m30s", 90.0),
        ("2h", 7200.0),
        ("1.5h", 5400.0),
        ("250ms", 0.25),
        ("1d2h", 93600.0),
        ("1m500ms", 60.5),
    ],
)
def test_a_duration_is_seconds_or_units(written: object, seconds: float) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written",
    ["", " ", "s", "1x", "1s1m", "1m1m", "1e3", "-1", -1, True, None, [], "nan", float("nan"), float("inf"), 10**400]
    + ["9" * 400, "4000d", "1m 30s", "٣", "{wait}"],
)
def test_anything_else_is_no_duration(written: object) -> None:
    with pytest.raises(ValueError, match="is no duration: write seconds"):
        parse_duration(written)


def test_retries_back_off_up_to_a_limit() -> None:
    policy = Definition("m", "a", {}).on_error
    assert [policy.delay_before(attempt) for attempt in (1, 2, 3, 4)] == [1.0, 2.0, 4.0, 8.0]
    assert policy.delay_before(20) == policy.delay_before(5000) == 300.0


def test_the_waits_of_a_retry_grow_up_to_the_longest_and_vary_by_their_share() -> None:
    policy = Retry(max=9, delay_s=1, factor=3, max_delay_s=10, jitter=0.1)

    assert [policy.delay_before(attempt, 0.5) for attempt in (1, 2, 3, 4, 5000)] == [1, 3, 9, 10, 10]
    assert [policy.delay_before(1, chance) for chance in (0, 1)] == pytest.approx([0.9, 1.1])
