"""A run: the actions of one state entry, one after another, and what comes of them."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine.actors.actions.registry import ActionRegistry
from statemachine_engine.actors.actions.services import Services
from statemachine_engine.actors.concurrency.cancel_token import CancelToken
from statemachine_engine.actors.concurrency.event_loop import EventLoop
from statemachine_engine.actors.concurrency.timers import Timers
from statemachine_engine.actors.concurrency.wait_board import WaitBoard
from statemachine_engine.actors.definition.loader import from_dict
from statemachine_engine.actors.definition.model import ActionSpec
from statemachine_engine.actors.jobs.job_holder import JobHolder
from statemachine_engine.actors.machine.action_run import ActionExecutor, ActionRun, Failure, WaitingAction
from statemachine_engine.actors.metrics.counters import Counters
from statemachine_engine.actors.metrics.outage import Outage
from statemachine_engine.storage import jobs
from statemachine_engine.storage.engine.database import Database
from tests.support.factories import add_jobs

DEFINITION = {
    "initial_state": "busy",
    "states": ["busy", "done"],
    "transitions": [
        {"from": "busy", "event": "done", "to": "done"},
        {"from": "busy", "event": "no_jobs", "to": "busy"},
    ],
}

PROBE = """
    import asyncio, sys
    from statemachine_engine.actions import BaseAction

    class ProbeAction(BaseAction):
        def execute(self, context):
            context.setdefault("ran", []).append(self.config.get("name"))
            return {body}
"""


class Stage:
    """Performs runs of one machine, without an actor."""

    def __init__(self, db: Database, folder: Path) -> None:
        self.db, self.folder = db, folder
        self.published: list[tuple[str, Mapping[str, Any]]] = []
        self.wait_board = WaitBoard()
        self.job_holder = JobHolder(
            "m", db, "us",
            timers=Timers(), wait_board=self.wait_board, tell=lambda _: None, publish=self.publish,
            notify=self.wait_board.notify, lease_taken=lambda _: None,
        )  # fmt: skip
        self.token = CancelToken()
        self.loop = EventLoop("m")
        self.context: dict[str, Any] = {}
        self.counters = Counters()

    def publish(self, machine: str, type: str, payload: Mapping[str, Any]) -> None:
        self.published.append((type, payload))

    def action(self, name: str, body: str) -> None:
        source = textwrap.dedent(PROBE).replace("ProbeAction", f"{name.title()}Action").replace("{body}", body)
        (self.folder / f"{name}_action.py").write_text(source)

    def perform(self, *actions: ActionSpec, **options: Any) -> ActionRun:
        services = Services(
            self.db, "m", self.token, self.job_holder, self.folder,
            self.publish, self.wait_board.notify, lambda *_: False, lambda *_: 0,
        )  # fmt: skip
        run = ActionRun(1, "busy", actions, self.context, services, **options)
        registry = ActionRegistry(self.folder)
        outage = Outage(self.counters, None, "", str)
        action_executor = ActionExecutor(from_dict(DEFINITION, "m"), registry, self.wait_board, self.counters, outage)
        return action_executor.perform(run, self.loop)


@pytest.fixture
def stage(open_db: Callable[..., Database], tmp_path: Path) -> Stage:
    return Stage(open_db("sqlite:///:memory:"), tmp_path)


def spec(type: str, every_s: float | None = None, **config: Any) -> ActionSpec:
    return ActionSpec(type, config, None, every_s)


def test_actions_run_in_order_until_one_s_event_is_taken(stage: Stage) -> None:
    stage.action("probe", "self.config.get('then')")
    run = stage.perform(*(spec("probe", name=name, then="done" if name == "b" else None) for name in "abc"))
    assert (run.event, stage.context["ran"]) == ("done", ["a", "b"])


def test_an_event_that_no_transition_takes_is_noted_and_the_list_goes_on(stage: Stage) -> None:
    stage.action("probe", "self.config.get('then')")
    run = stage.perform(spec("probe", name="a", then="odd"), spec("probe", name="b", then=""))
    assert (run.event, run.unhandled, stage.context["ran"]) == (None, [("probe", "odd")], ["a", "b"])


def test_in_a_final_state_every_action_runs(stage: Stage) -> None:
    stage.action("probe", "self.config.get('then')")
    run = stage.perform(spec("probe", name="a", then="done"), spec("probe", name="b"), final=True)
    assert (run.event, stage.context["ran"]) == (None, ["a", "b"])


def test_each_action_that_ends_is_counted_with_its_failure(stage: Stage) -> None:
    stage.action("probe", "self.config.get('then')")
    stage.action("broken", "[][0]")
    stage.perform(spec("probe"), spec("probe", then="odd"), spec("probe", then="done"))
    stage.perform(spec("probe", then="error"))
    stage.perform(spec("broken"))
    counted: Counter[tuple[str, str]] = Counter()
    for count in stage.counters.take().durations:
        assert count.seconds > 0
        counted.update({(count.action, "all"): count.times, (count.action, "failed"): count.failures})
    assert counted == {("probe", "all"): 4, ("probe", "failed"): 1, ("broken", "all"): 1, ("broken", "failed"): 1}
    assert stage.counters.take().durations == []


def test_neither_a_cancelled_run_nor_an_empty_poll_is_counted(stage: Stage) -> None:
    stage.action("probe", "self.services.cancel.cancel()")
    stage.perform(spec("check_database_queue"))
    stage.perform(spec("probe"))
    assert stage.counters.take().durations == []


FAILURES = {
    "[][0]": "IndexError: list index out of range",
    "sys.exit('bye')": "SystemExit: bye",
    "(_ for _ in ()).throw(KeyboardInterrupt())": "KeyboardInterrupt: ",
    "(_ for _ in ()).throw(asyncio.CancelledError())": "CancelledError: ",
    "5": "it returned int 5; an action returns the name of an event, or None",
    "True": "it returned bool True; an action returns the name of an event, or None",
    "self._later()": "SystemExit: later",
    "self._cancelled()": "its coroutine was cancelled, but not by the machine",
}


@pytest.mark.parametrize("body", FAILURES)
def test_any_exception_of_an_action_is_only_its_failure(stage: Stage, body: str) -> None:
    stage.action("probe", body)
    with (stage.folder / "probe_action.py").open("a") as file:
        file.write("\n    async def _later(self):\n        sys.exit('later')\n")
        file.write("\n    async def _cancelled(self):\n        raise asyncio.CancelledError\n")
    run = stage.perform(spec("probe"), spec("probe", name="never"))
    text = f"Error executing action probe: {FAILURES[body]}"
    assert run.failure == Failure("probe", text)
    assert stage.context["last_error"] == text
    assert stage.published == [("error", {"error_message": text, "action": "probe", "job_id": None})]
    stage.loop.close()


def test_an_action_that_is_unknown_fails_like_one_that_raises(stage: Stage) -> None:
    run = stage.perform(spec("no_such_thing"))
    assert run.failure is not None
    assert stage.context["last_error_action"] == "no_such_thing"


def test_a_failure_whose_event_is_taken_leads_on(stage: Stage) -> None:
    stage.action("probe", "[][0]")
    run = stage.perform(spec("probe", error="done"))
    assert (run.event, run.failure) == ("done", None)


@pytest.mark.parametrize("body", ["'done'", "'error'", "[][0]", "sys.exit()"])
def test_what_a_cancelled_run_brings_late_is_thrown_away(stage: Stage, body: str) -> None:
    """Ignore the result: the machine may already hold another job, which must not fail because of it."""
    add_jobs(stage.db, 1)
    stage.job_holder.claim()
    stage.published.clear()
    stage.action("probe", f"(self.services.cancel.cancel(), {body})[1]")
    run = stage.perform(spec("probe", name="a"), spec("probe", name="b"))
    assert (run.event, run.failure, run.unhandled, stage.published) == (None, None, [], [])
    assert stage.context["ran"] == ["a"]
    stage.job_holder.finish()
    assert jobs.statuses(stage.db, ["job-0"]) == {"job-0": "completed"}


def test_a_watch_that_finds_nothing_waits_with_the_version_from_before_its_look(stage: Stage) -> None:
    stage.wait_board.version("jobs")
    stage.wait_board.notify("jobs")
    run = stage.perform(spec("check_database_queue", job_type="video", machine_type="gpu"))
    assert run.waiting == [WaitingAction(0, "jobs", ("video", "gpu"), 1, None)]
    assert (run.event, run.unhandled) == (None, [])


def test_what_follows_a_watch_whose_empty_event_is_taken_is_cut_but_for_other_watches(stage: Stage) -> None:
    stage.action("probe", "None")
    run = stage.perform(
        spec("check_database_queue", job_type="a"), spec("probe"), spec("check_database_queue", job_type="b")
    )
    assert [waiting.key for waiting in run.waiting] == [("a", None), ("b", None)]
    assert "ran" not in stage.context


def test_a_watch_whose_empty_event_leads_elsewhere_takes_it(stage: Stage) -> None:
    run = stage.perform(spec("check_database_queue", empty="done"))
    assert (run.event, run.found_nothing, run.waiting) == ("done", True, [])


def test_a_watch_waits_in_a_machine_that_takes_no_new_work(stage: Stage) -> None:
    stage.job_holder.closed = True
    run = stage.perform(spec("check_database_queue", empty="done"))
    assert (run.event, len(run.waiting)) == (None, 1)


@pytest.mark.parametrize("method", ["empty_event(self)", "watch_key(self)", "recheck_after_s(self, context)"])
def test_a_watch_of_a_user_that_fails_in_any_of_its_methods_has_failed(stage: Stage, method: str) -> None:
    stage.action("probe", "None")
    with (stage.folder / "probe_action.py").open("a") as file:
        file.write(f"\n    watch = 'jobs'\n\n    def {method}:\n        raise ValueError('no')\n")
    assert stage.perform(spec("probe")).failure == Failure("probe", "Error executing action probe: ValueError: no")


def test_a_repeating_action_is_due_again_after_its_time(stage: Stage) -> None:
    stage.action("probe", "None")
    run = stage.perform(spec("probe", 0.5, name="a"), spec("probe", name="b"))
    assert run.waiting == [WaitingAction(0, None, (), 0, 0.5)]
    again = stage.perform(spec("probe", 0.5, name="a"), spec("probe", name="b"), rerun=True)
    assert len(again.waiting) == 1
    assert stage.context["ran"] == ["a", "b", "a"]


def test_a_watch_that_finds_something_when_it_is_run_again_goes_on_with_the_list(stage: Stage) -> None:
    stage.action("probe", "None")
    add_jobs(stage.db, 1)
    run = stage.perform(spec("check_database_queue", success="odd"), spec("probe", name="after"), rerun=True)
    assert stage.context["ran"] == ["after"]
    assert run.unhandled == [("check_database_queue", "odd")]


def test_a_failure_is_the_current_job_s(stage: Stage) -> None:
    add_jobs(stage.db, 1)
    stage.job_holder.claim()
    stage.action("probe", "[][0]")
    stage.perform(spec("probe"))
    assert stage.published[-1][1]["job_id"] == "job-0"
    stage.job_holder.finish()
    assert jobs.statuses(stage.db, ["job-0"]) == {"job-0": "failed"}
