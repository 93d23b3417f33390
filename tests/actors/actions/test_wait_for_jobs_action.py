"""Waiting for other jobs, each wait with a time limit of its own."""

from __future__ import annotations

import pytest

from statemachine_engine.actors.errors import ActionError
from statemachine_engine.actors.runtime.runtime import Runtime
from statemachine_engine.storage import jobs
from tests.support.manual_clock import ManualClock


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def runtime(clock):
    with Runtime("sqlite:///:memory:", sockets=False, clock=clock) as started:
        yield started


@pytest.fixture
def tracked(bench):
    """Three jobs that the machine waits for."""
    names = ["a", "b", "c"]
    for name in names:
        jobs.enqueue(bench.db, name, "work")
    bench.context["spawned_jobs"] = names
    return names


def end_all(bench):
    jobs.complete(bench.db, "a")
    jobs.fail(bench.db, "b", "broken")
    jobs.cancel(bench.db, "c")


def test_it_yields_when_all_have_ended_one_way_or_another(bench, tracked):
    assert bench.run("wait_for_jobs") is None
    end_all(bench)

    assert bench.run("wait_for_jobs") == "all_jobs_complete"
    assert bench.context["completed_jobs"] == ["a"]
    assert bench.context["failed_jobs"] == ["b", "c"]
    assert bench.context["pending_jobs"] == []


def test_meanwhile_the_context_tells_how_far_they_are(bench, tracked):
    jobs.complete(bench.db, "b")

    assert bench.run("wait_for_jobs", pending="still_busy") == "still_busy"
    assert bench.context["completed_jobs"] == ["b"]
    assert bench.context["pending_jobs"] == ["a", "c"]


def test_a_list_of_waiting_jobs_is_not_overwritten(bench, tracked):
    bench.run("get_pending_jobs", limit=1)
    bench.run("wait_for_jobs")

    assert bench.context["pending_jobs"][0]["job_id"] == "a"


def test_listed_jobs_can_be_waited_for(bench, tracked):
    bench.run("get_pending_jobs", store_as="todo")
    end_all(bench)

    assert bench.run("wait_for_jobs", tracked_jobs_key="todo") == "all_jobs_complete"


@pytest.mark.parametrize("value", [None, []])
def test_nothing_tracked_is_an_event_of_its_own(bench, value):
    bench.context["spawned_jobs"] = value
    assert bench.run("wait_for_jobs") == "no_jobs_tracked"


def test_what_is_no_list_is_refused(bench):
    bench.context["mine"] = "a"
    with pytest.raises(ActionError, match="'mine' in the context is no list"):
        bench.run("wait_for_jobs", tracked_jobs_key="mine")


def test_the_time_limit_is_five_minutes_unless_said(bench, tracked, clock):
    bench.run("wait_for_jobs", timeout_event="too_slow")
    for _ in range(4):
        clock.advance(70)
        assert bench.run("wait_for_jobs", timeout_event="too_slow") is None

    clock.advance(21)
    assert bench.run("wait_for_jobs", timeout_event="too_slow") == "too_slow"


def test_without_a_time_limit_it_waits_for_ever(bench, tracked, clock):
    for _ in range(5):
        assert bench.run("wait_for_jobs", timeout=0, timeout_event="too_slow") is None
        clock.advance(100)


def test_a_wait_after_a_time_out_has_its_whole_time_again(bench, tracked, clock):
    bench.run("wait_for_jobs", timeout=10, timeout_event="too_slow")
    clock.advance(10)
    assert bench.run("wait_for_jobs", timeout=10, timeout_event="too_slow") == "too_slow"

    assert bench.run("wait_for_jobs", timeout=10, timeout_event="too_slow") is None


@pytest.mark.parametrize("change", [{"current_state": "elsewhere"}, {"spawned_jobs": ["a"]}])
def test_a_wait_in_another_state_or_for_other_jobs_has_its_whole_time(bench, tracked, clock, change):
    bench.run("wait_for_jobs", timeout=10, timeout_event="too_slow")
    clock.advance(10)
    bench.context.update(change)

    assert bench.run("wait_for_jobs", timeout=10, timeout_event="too_slow") is None


def test_a_wait_that_was_left_long_ago_has_its_whole_time_again(bench, tracked, clock):
    bench.run("wait_for_jobs", timeout_event="too_slow")
    clock.advance(3600)

    assert bench.run("wait_for_jobs", timeout_event="too_slow") is None


def test_it_looks_again_at_its_time_limit(bench, tracked, clock):
    action = bench.make("wait_for_jobs", timeout=20)
    action.execute(bench.context)
    assert action.recheck_after_s(bench.context) == pytest.approx(20)

    clock.advance(15)
    assert action.recheck_after_s(bench.context) == pytest.approx(5)
    assert bench.make("wait_for_jobs", timeout=0).recheck_after_s(bench.context) == 60


def test_it_is_a_watch_for_jobs_that_end(bench):
    action = bench.make("wait_for_jobs")
    assert action.watch == "done"
    assert action.watch_key() == ()
    assert action.empty_event() is None
