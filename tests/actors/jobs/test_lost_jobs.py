"""A job that is taken from its machine, or takes too long: its actions are cancelled, and the machine goes on."""

from __future__ import annotations

import logging
import socket
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine import JobQueue, Runtime
from statemachine_engine.actors.runtime import maintenance as maintenance_module
from statemachine_engine.actors.sockets.messages import Notification
from statemachine_engine.storage import audit, jobs, machines
from statemachine_engine.storage.clock import from_text
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.jobs import attempts, bulk
from tests.support.journal import Journal
from tests.support.manual_clock import ManualClock
from tests.support.processes import alive
from tests.support.until import until

#: hangs, with a child of its own, until its group is ended
HANGS = "echo at work; echo $$ > {pid}; sleep 60 & wait"

KINDS = {
    "bash": "",
    "awaits": """
        async def execute(self, context):
            (Path("{folder}") / "entered").touch()
            try:
                await asyncio.sleep(60)
            finally:
                (Path("{folder}") / "left").touch()
    """,
    "looks": """
        def execute(self, context):
            (Path("{folder}") / "entered").touch()
            while not self.services.cancel.wait(0.01):
                pass
            (Path("{folder}") / "left").touch()
    """,
}


def worker(*work: dict[str, Any], after: str = "stopped", **more: Any) -> dict[str, Any]:
    """Works on one job after another; after an error it fails the job and goes to `after`."""
    return {
        "initial_state": "waiting",
        "transitions": [
            {"from": "waiting", "to": "working", "event": "new_job"},
            {"from": "working", "to": "waiting", "event": "job_done"},
            {"from": "working", "to": "sorry", "event": "error"},
            {"from": "sorry", "to": after, "event": "settled"},
        ],
        "actions": {
            "waiting": [{"type": "check_database_queue", "job_type": "work"}],
            "working": list(work),
            "sorry": [{"type": "fail_job", "success": "settled"}],
        },
        **more,
    }


def hangs(folder: Path) -> dict[str, Any]:
    return {"type": "bash", "timeout": 0, "command": HANGS.replace("{pid}", str(folder / "pid"))}


def pid_in(folder: Path) -> int:
    return int(until(lambda: (folder / "pid").exists() and (folder / "pid").read_text().strip()))


def steal(db: Database) -> None:
    """Let the lease run out, as after a long pause, and let another worker claim the job."""
    with db.write():
        db.execute("UPDATE jobs SET lease_until = 1")
        assert jobs.rescue(db)
        assert jobs.claim(db, owner="there/1/2/abc", machine="thief") is not None


TAKERS: dict[str, tuple[str, Callable[[Database], Any]]] = {
    "cancel": ("Job j was cancelled by somebody else", lambda db: jobs.cancel(db, "j")),
    "cancel many": ("Job j was cancelled by somebody else", lambda db: bulk.cancel(db, bulk.Choice(job_type="work"))),
    "remove": ("Job j was removed", lambda db: jobs.remove(db, "j")),
    "retry": ("Job j was put back into the queue by somebody else", lambda db: jobs.retry(db, "j", delay_s=600)),
    "complete": ("Job j was completed by somebody else", lambda db: jobs.complete(db, "j")),
    "steal": ("Job j is now worked on by thief", steal),
}


@pytest.mark.parametrize(("reason", "take"), TAKERS.values(), ids=TAKERS)
def test_a_job_that_is_taken_away_cuts_off_its_work_and_is_not_written_to_any_more(
    runtime: Runtime, journal: Journal, tmp_path: Path, reason: str, take: Callable[[Database], Any]
) -> None:
    machine = runtime.add(worker(hangs(tmp_path)), "m")
    JobQueue(runtime).add("work", job_id="j")
    pid = pid_in(tmp_path)

    with runtime.db.write():  # in one transaction: maintenance must not see a job that was rescued and not yet stolen
        take(runtime.db)
    taken = jobs.get(runtime.db, "j")
    runtime.router.on_notification(Notification("done", 1, ("j",)))

    assert machine.wait(30) is not None
    assert machine.state == "stopped"
    until(lambda: not alive(pid))
    assert jobs.get(runtime.db, "j") == taken
    assert machine.context["last_error"] == reason
    (error,) = journal.wait_for("error")
    assert (error["error_message"], error["job_id"]) == (reason, "j")
    assert journal.of("job_completed") == journal.of("job_failed") == []


@pytest.mark.parametrize("kind", ["awaits", "looks"])
def test_every_kind_of_action_is_cut_off(
    runtime: Runtime, action: Callable[[str, str], None], tmp_path: Path, kind: str
) -> None:
    head = "import asyncio\nfrom pathlib import Path\nfrom statemachine_engine.actions import BaseAction\n"
    body = textwrap.indent(textwrap.dedent(KINDS[kind]).replace("{folder}", str(tmp_path)), "    ")
    action(kind, f"{head}class {kind.title()}Action(BaseAction):\n{body}")
    machine = runtime.add(worker({"type": kind}), "m")
    JobQueue(runtime).add("work", job_id="j")
    until((tmp_path / "entered").exists)

    jobs.cancel(runtime.db, "j")
    runtime.router.on_notification(Notification("done", 1, ()))

    until((tmp_path / "left").exists)
    machine.wait(30)


def test_a_job_that_another_process_cancels_is_noticed_without_a_notification(tmp_path: Path) -> None:
    with Runtime(tmp_path / "x.db", sockets=False, grace_s=0) as runtime, JobQueue(tmp_path / "x.db") as queue:
        machine = runtime.add(worker(hangs(tmp_path), after="waiting"), "m")
        queue.add("work", job_id="j")
        pid = pid_in(tmp_path)
        jobs.cancel(queue.db, "j")
        until(lambda: not alive(pid))
        machine.wait_for("waiting", 30)
        (tmp_path / "pid").unlink()
        queue.add("work", job_id="next")
        pid_in(tmp_path)


def test_on_postgresql_a_worker_on_another_host_learns_of_it_at_once(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance_module, "LOOK_S", 60.0)
    with Runtime(postgres_url, sockets=False) as runtime, JobQueue(postgres_url) as queue:
        machine = runtime.add(worker(hangs(tmp_path)), "m")
        queue.add("work", job_id="j")
        pid = pid_in(tmp_path)
        jobs.cancel(queue.db, "j")
        machine.wait(30)
        until(lambda: not alive(pid))


def test_without_an_error_transition_the_policy_for_errors_holds_and_the_job_s_work_is_not_repeated(
    runtime: Runtime, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    config = worker({"type": "bash", "timeout": 0, "command": f"echo {{job_id}} >> {said}; sleep 60"})
    config["transitions"].pop(2)
    config["on_error"] = {"tries": 1, "delay": 0.01}
    runtime.add(config, "m")
    JobQueue(runtime).add("work", job_id="j")
    until(said.exists)

    jobs.cancel(runtime.db, "j")
    runtime.router.on_notification(Notification("done", 1, ("j",)))

    until(lambda: said.read_text() == "j\n{job_id}\n")
    runtime.stop(grace_s=0)


@pytest.mark.parametrize("key", ["error", "failure"])
def test_the_machine_goes_where_the_error_of_the_action_that_ran_leads(
    runtime: Runtime, journal: Journal, tmp_path: Path, key: str
) -> None:
    config = worker({"type": "log", "message": "first", "error": "elsewhere"}, {**hangs(tmp_path), key: "broken"})
    config["transitions"][2]["event"] = "broken"
    machine = runtime.add(config, "m")
    JobQueue(runtime).add("work", job_id="j")
    pid = pid_in(tmp_path)

    jobs.cancel(runtime.db, "j")
    runtime.router.on_notification(Notification("done", 1, ("j",)))

    assert machine.wait(30) is not None
    until(lambda: not alive(pid))
    assert [change["to_state"] for change in journal.of("state_change")][-2:] == ["sorry", "stopped"]


def test_a_machine_that_waits_with_a_job_and_has_no_way_on_is_failed(runtime: Runtime) -> None:
    config = worker()
    config["transitions"].pop(2)
    machine = runtime.add(config, "m")
    JobQueue(runtime).add("work", job_id="j")
    machine.wait_for("working", 30)

    jobs.cancel(runtime.db, "j")
    runtime.router.on_notification(Notification("done", 1, ("j",)))

    until(lambda: machine.status == "failed")
    assert machine.last_error == "Job j was cancelled by somebody else"


def test_a_job_that_its_machine_ends_meanwhile_is_not_taken_from_it(runtime: Runtime, journal: Journal) -> None:
    machine = runtime.add(worker({"type": "complete_job", "success": "job_done"}), "m")
    queue = JobQueue(runtime)
    for number in range(100):
        queue.add("work", job_id=f"j{number}")
        runtime.router.on_notification(Notification("done", 1, ()))
    queue.wait("j99", 10)

    assert journal.of("error") == []
    assert machine.status == "running"


def test_an_attempt_that_takes_too_long_is_cut_off_and_tried_again_until_the_last_one_fails(
    runtime: Runtime, journal: Journal, tmp_path: Path
) -> None:
    runtime.add(worker(hangs(tmp_path), after="waiting"), "m")
    queue = JobQueue(runtime)
    queue.add("work", job_id="j", time_limit_s=0.3, max_attempts=2)

    job = queue.wait("j", 10)

    reason = "took longer than its time limit of 0.3 s"
    assert (job.status, job.attempts, job.error_message) == ("failed", 2, reason)
    found = [(attempt.outcome, attempt.output) for attempt in attempts.of(runtime.db, job)]
    assert found == [("timed_out", "at work\n")] * 2
    assert [error["error_message"] for error in journal.wait_for("error", 2)] == [f"Job j {reason}"] * 2
    assert [failed["error_message"] for failed in journal.wait_for("job_failed")] == [reason]
    until(lambda: not alive(pid_in(tmp_path)))


def test_an_attempt_that_takes_too_long_again_is_made_up_for_when_its_wait_is_over(
    runtime: Runtime, journal: Journal, tmp_path: Path
) -> None:
    runtime.add(worker(hangs(tmp_path), after="waiting"), "m")
    queue = JobQueue(runtime)
    queue.add("work", job_id="j", time_limit_s=0.1, max_attempts=3, backoff_s=1.5)

    waiting = until(lambda: (job := queue.get("j")) is not None and job.status == "scheduled" and job)
    assert (waiting.attempts, waiting.error_message) == (2, "took longer than its time limit of 0.1 s")
    job = queue.wait("j", 10)

    assert (job.status, job.attempts) == ("failed", 3)
    _, second, third = attempts.of(runtime.db, job)
    wait_s = from_text(third.started_at or "") - from_text(second.ended_at)
    assert 1.5 <= wait_s < 9


def test_a_job_that_keeps_within_its_time_limit_knows_nothing_of_it(runtime: Runtime, journal: Journal) -> None:
    runtime.add(worker({"type": "sleep", "duration": 0.2, "success": "job_done"}), "m")
    queue = JobQueue(runtime)
    queue.add("work", job_id="quick", time_limit_s=5)
    queue.add("work", job_id="unlimited", time_limit_s=0)

    assert {queue.wait(name, 10).status for name in ("quick", "unlimited")} == {"completed"}
    assert journal.of("error") == []


def test_a_job_whose_workers_are_gone_too_often_is_said_to_have_failed(runtime: Runtime, journal: Journal) -> None:
    queue = JobQueue(runtime)
    queue.add("work", job_id="j", max_attempts=1)
    jobs.claim(runtime.db, owner="dead/1/1/x", machine="old", lease_s=0.0)
    time_s = time.monotonic() + maintenance_module.RESCUE_S
    until(lambda: runtime.db.now() > (queue.get("j").lease_until or 0))  # type: ignore[union-attr]
    runtime.maintenance.look(time_s)

    (failed,) = journal.wait_for("job_failed", job_id="j")
    assert failed["error_message"].startswith("lease expired: worker dead/1/1/x did not finish")
    assert [event.machine for event in audit.newest(runtime.db, "job_failed", None, None, 1)] == ["old"]


def test_a_machine_that_another_host_took_over_stops_here_and_the_others_go_on(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    options: dict[str, Any] = {"sockets": False, "clock": clock, "grace_s": 0}
    with Runtime(tmp_path / "x.db", **options) as paused, Runtime(tmp_path / "x.db", **options) as heir:
        ours = paused.add(worker(hangs(tmp_path)), "m")
        bystander = paused.add({**worker(), "initial_state": "working"}, "bystander")
        queue = JobQueue(paused)
        queue.add("work", job_id="j")
        pid = pid_in(tmp_path)
        clock.advance(machines.LEASE_S + 1)
        with monkeypatch.context() as patch:
            patch.setattr(socket, "gethostname", lambda: "elsewhere")
            theirs = heir.add(worker({"type": "log", "message": "x", "success": "job_done"}), "m")

        paused.maintenance.look(time.monotonic() + maintenance_module.HEARTBEAT_S)

        assert ours.wait(30) is None
        until(lambda: not alive(pid))
        assert queue.wait("j", 10).status == "completed"
        row = machines.get(paused.db, "m")
        assert row is not None
        assert (row.host, row.running, theirs.status, bystander.status) == ("elsewhere", True, "running", "running")
    (said,) = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert said.getMessage().startswith("m: stopped: pid ")
    assert "on elsewhere has taken it over" in said.getMessage()
