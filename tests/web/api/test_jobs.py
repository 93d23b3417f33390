"""Jobs over HTTP: looked at, added, retried, cancelled."""

from __future__ import annotations

import json
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine import Runtime
from statemachine_engine.actors.sockets import unix_socket
from statemachine_engine.storage import jobs, mailbox
from tests.support.until import until
from tests.web.conftest import RUN, Site

WORKER = """
initial_state: waiting
states: [waiting, working, done]
transitions:
  - {from: waiting, to: working, event: new_job}
  - {from: working, to: waiting, event: job_done}
  - {from: working, to: waiting, event: error}
  - {from: '*', to: stopped, event: stop}
actions:
  waiting: [{type: check_database_queue, job_type: work}]
  working: [{type: bash, command: "test {n} != 2", success: job_done}]
"""


def ids(answer: Any) -> list[str]:
    return [job["job_id"] for job in answer["items"]]


def test_jobs_are_listed_newest_first_page_by_page(site: Site) -> None:
    for number in range(5):
        jobs.enqueue(site.db, f"j{number}", "work", data={"n": number})
    first = site.get("/api/jobs?limit=3")
    second = site.get(f"/api/jobs?limit=3&cursor={first['next_cursor']}")

    assert (ids(first), ids(second)) == (["j4", "j3", "j2"], ["j1", "j0"])
    assert second["next_cursor"] is None
    assert first["counts"]["pending"] == first["total"] == 5


def test_jobs_are_found_by_status_type_machine_and_text(site: Site) -> None:
    jobs.enqueue(site.db, "a", "resize", data={"file": "one.png"})
    jobs.enqueue(site.db, "b", "resize", machine_type="gpu", data={"file": "two.png"})
    jobs.enqueue(site.db, "c", "convert")
    jobs.fail(site.db, "c", "disk full")
    jobs.cancel(site.db, "a")

    assert ids(site.get("/api/jobs?status=failed")) == ["c"]
    assert ids(site.get("/api/jobs?status=failed&status=cancelled")) == ["c", "a"]
    assert ids(site.get("/api/jobs?status=failed,pending")) == ["c", "b"]
    assert ids(site.get("/api/jobs?type=resize")) == ["b", "a"]
    jobs.claim(site.db, job_id="b", owner="w", machine="worker_1")
    assert ids(site.get("/api/jobs?machine_type=gpu")) == ["b"]
    assert ids(site.get("/api/jobs?machine=worker_1")) == ["b"]
    assert ids(site.get("/api/jobs?machine=gpu")) == []
    assert site.get("/api/jobs?q=two.png")["items"][0]["machine"] == "worker_1"
    assert ids(site.get("/api/jobs?q=TWO.PNG")) == ["b"]
    assert ids(site.get("/api/jobs?q=disk")) == ["c"]
    assert site.ask("/api/jobs?status=odd").status == 400


def test_a_job_that_is_not_there_is_not_found(site: Site) -> None:
    assert site.ask("/api/jobs/none").status == 404
    assert site.post("/api/jobs/none/retry").status == 404
    assert site.post("/api/jobs/none/cancel").status == 404


def test_a_job_is_added_with_everything_that_it_may_have(site: Site) -> None:
    answer = site.post(
        "/api/jobs",
        {"job_id": "a/b c", "job_type": "work", "machine_type": "gpu", "payload": {"x": [1]}, "priority": 1,
         "delay_s": 60, "max_attempts": 7, "source_job_id": "s", "unique_key": "u",
         "time_limit_s": 0.5, "backoff_s": 2.5},
    )  # fmt: skip
    job = jobs.get(site.db, "a/b c")

    assert answer.status == 201
    assert job is not None
    assert (job.data, job.priority, job.status, job.max_attempts) == ({"x": [1]}, 1, "scheduled", 7)
    assert (job.unique_key, job.time_limit_s, job.backoff_s) == ("u", 0.5, 2.5)
    assert site.get("/api/jobs/a%2Fb%20c")["machine_type"] == "gpu"
    assert site.post("/api/jobs", {"job_id": "a/b c", "job_type": "work"}).status == 409


def test_a_job_of_a_unique_key_that_is_taken_is_neither_added_nor_put_on_record(site: Site) -> None:
    first = site.post("/api/jobs", {"job_type": "work", "unique_key": "nightly"})
    second = site.post("/api/jobs", {"job_type": "work", "unique_key": "nightly"})

    assert (first.status, second.status) == (201, 200)
    assert first.json["job_id"] == second.json["job_id"]
    assert [event["payload"]["target"] for event in site.get("/api/events?type=control")["items"]] == [
        first.json["job_id"]
    ]


@pytest.mark.parametrize(
    "body",
    [
        {}, {"job_type": ""}, {"job_type": 5}, {"job_type": "w", "priority": "high"}, {"job_type": "w", "delay_s": -1},
        {"job_type": "w", "max_attempts": 0}, {"job_type": "w", "odd": 1}, {"job_type": "w\0"}, [], "text", b"{broken",
        {"job_type": "w", "time_limit_s": -1}, {"job_type": "w", "backoff_s": -1},
        {"job_type": "w", "priority": True}, {"job_type": "w" * 2000},
    ],
)  # fmt: skip
def test_a_job_that_cannot_be_is_refused(site: Site, body: Any) -> None:
    assert site.post("/api/jobs", body).status == 400
    assert not jobs.find(site.db)


def test_a_number_out_of_bounds_is_refused_with_the_bounds(site: Site) -> None:
    answer = site.post("/api/jobs", {"job_type": "w", "priority": 2**31})
    assert answer.json["error"] == "priority must be a whole number from -2147483647 to 2147483647"


def test_only_what_can_be_retried_or_cancelled_is(site: Site) -> None:
    jobs.enqueue(site.db, "a", "work")
    assert site.post("/api/jobs/a/retry").status == 409
    assert site.post("/api/jobs/a/cancel").json["status"] == "cancelled"
    assert site.post("/api/jobs/a/cancel").status == 409
    assert site.post("/api/jobs/a/retry").json["status"] == "pending"


def test_many_jobs_are_changed_at_once_each_by_itself(site: Site) -> None:
    for name in "abc":
        jobs.enqueue(site.db, name, "work")
    jobs.fail(site.db, "a", "x")
    jobs.fail(site.db, "c", "x")
    answer = site.post("/api/jobs/bulk", {"action": "retry", "ids": ["a", "b", "c", "a", "none"]}).json

    assert [(item["job_id"], item["ok"]) for item in answer["items"]] == [
        ("a", True), ("b", False), ("c", True), ("none", False),
    ]  # fmt: skip
    assert (answer["done"], answer["total"]) == (2, 4)
    assert jobs.counts(site.db)["pending"] == 3


@pytest.mark.parametrize(
    "body",
    [{}, {"action": "delete", "ids": ["a"]}, {"action": "retry", "ids": []}, {"action": "retry", "ids": [1]},
     {"action": "retry", "ids": "a"}, {"action": "retry", "ids": ["a"] * 1001}],
)  # fmt: skip
def test_a_change_of_many_that_cannot_be_is_refused(site: Site, body: Any) -> None:
    assert site.post("/api/jobs/bulk", body).status == 400


def test_a_worker_takes_what_the_page_adds_and_tells_its_path(site: Site, tmp_path: Path) -> None:
    config = tmp_path / "worker.yaml"
    config.write_text(WORKER, encoding="utf-8")
    settings = site.monitor.settings
    with Runtime(db=site.db.url, control_prefix=settings.control_prefix, event_socket=settings.event_socket) as runtime:
        worker = runtime.add(config)
        worker.wait_for("waiting", 30)
        for number in (1, 2):
            site.post("/api/jobs", {"job_id": f"j{number}", "job_type": "work", "payload": {"n": number}})
        until(lambda: site.get("/api/jobs/j1")["status"] == "completed")
        until(lambda: site.get("/api/jobs/j2")["status"] in ("failed", "pending"))
        until(lambda: site.get("/api/jobs/j1")["path"])
        job = site.get("/api/jobs/j1")
        assert job["machine"] == "worker"
        (attempt,) = job["attempt_history"]
        assert (attempt["machine"], attempt["outcome"], attempt["attempt"]) == ("worker", "completed", 1)
        assert attempt["ended_at_s"] >= attempt["started_at_s"]
        assert ("waiting", "working", "new_job") in [(s["from"], s["to"], s["event"]) for s in job["path"]]

        sent = site.post("/api/machines/worker/stop")
        assert (sent.status, sent.json["delivered"]) == (202, True)
        worker.wait(30)
        assert worker.state == "stopped"


def test_an_event_reaches_a_machine_with_its_payload(site: Site) -> None:
    site.start("worker")
    answer = site.post("/api/machines/worker/events", {"type": "go", "payload": {"x": [1, None]}, "job_id": "j"})
    (message,) = mailbox.unread(site.db, "worker")

    assert answer.status == 202
    assert answer.json["event_id"] == message.id
    assert (message.type, message.payload, message.job_id, message.source) == ("go", {"x": [1, None]}, "j", "ui")


@pytest.mark.parametrize("body", [{}, {"type": ""}, {"type": "a\nb"}, {"type": "x" * 300}, {"type": 1}, {"odd": 1}])
def test_an_event_that_cannot_be_is_refused(site: Site, body: Any) -> None:
    site.start("worker")
    assert site.post("/api/machines/worker/events", body).status == 400
    assert site.post("/api/machines/nobody/events", {"type": "go"}).status == 404
    assert mailbox.list_(site.db) == []


def test_a_machine_that_takes_no_stop_is_not_sent_one(site: Site, tmp_path: Path) -> None:
    config = tmp_path / "endless.yaml"
    config.write_text("initial_state: a\nstates: [a]\ntransitions: [{from: a, to: a, event: go}]\n")
    site.start("endless", config)
    answer = site.post("/api/machines/endless/stop")
    assert answer.status == 409
    assert "process" in answer.json["hint"]
    assert site.post("/api/machines/endless/stop", {"process": True}).status == 409


def test_a_machine_that_does_not_run_cannot_be_stopped(site: Site) -> None:
    from statemachine_engine.storage import machines

    site.start("worker")
    machines.release(site.db, "worker", RUN)
    assert site.post("/api/machines/worker/stop").status == 409


def test_a_payload_that_is_too_large_is_refused(site: Site) -> None:
    site.start("worker")
    answer = site.post("/api/machines/worker/events", {"type": "go", "payload": "x" * (16 * 2**20 + 1)})
    assert answer.status == 413


@pytest.mark.parametrize(
    ("path", "body", "notified"),
    [
        ("/api/jobs", {"job_type": "t", "machine_type": "m"}, [("jobs", ["t", "m"])]),
        ("/api/jobs/failed/retry", {}, [("jobs", ["t", None]), ("done", ["failed"])]),
        ("/api/jobs/waits/cancel", {}, [("done", ["waits"])]),
        ("/api/jobs/bulk", {"action": "cancel", "ids": ["waits"]}, [("done", ["waits"])]),
    ],
)
def test_a_change_of_jobs_notifies_waiting_machines(
    site: Site, tmp_path: Path, path: str, body: Any, notified: list[Any]
) -> None:
    jobs.enqueue(site.db, "waits", "t")
    jobs.enqueue(site.db, "failed", "t")
    jobs.fail(site.db, "failed", "r")
    with tempfile.TemporaryDirectory() as folder, unix_socket.bind(Path(folder, "worker.sock")) as listener:
        site.start("worker", host=socket.gethostname(), control_socket=str(Path(folder, "worker.sock")))

        assert site.post(path, body).status in (200, 201)

        listener.settimeout(5)
        messages = [json.loads(listener.recv(65536)) for _ in notified]
    assert [(message["bell"], message["key"]) for message in messages] == notified
