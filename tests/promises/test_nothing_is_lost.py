"""Real processes that are killed, stopped and flooded lose nothing."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from statemachine_engine.storage import snapshots
from statemachine_engine.storage.engine.database import Database
from tests.support.processes import alive
from tests.support.project import Project
from tests.support.until import until

WORKER = """
initial_state: waiting
transitions:
  - {from: waiting, to: working, event: new_job}
  - {from: working, to: waiting, event: job_done}
  - {from: "*", to: stopped, event: stop}
actions:
  waiting: [{type: check_database_queue, job_type: t, lease: 2}]
  working: [{type: bash, command: "echo start {job_id} >> trace; [ -e block ] && sleep 60; echo end {job_id} >> trace"}]
"""

RESUMING = """
initial_state: waiting
on_restart: resume
transitions:
  - {from: waiting, to: working, event: new_job}
  - {from: working, to: ending, event: end}
  - {from: working, to: waiting, event: timeout(100)}
actions:
  waiting: [{type: check_database_queue, job_type: t}]
  working: [{type: bash, command: "echo begin {job_id} >> trace"}]
  ending: [{type: bash, command: "echo end {job_id} {size} {given} >> trace"}, {type: complete_job}]
"""

COUNTER = """
initial_state: counting
transitions:
  - {from: counting, to: counting, event: n}
actions:
  counting: [{type: bash, command: "printf '%s ' {event_data.payload.n|default:-} >> seen"}]
"""

SINK = """
initial_state: a
transitions: [{from: "*", to: a, event: n}]
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project folder."""
    project = Project(tmp_path)
    yield project
    project.close()


def test_a_job_whose_worker_is_killed_is_done_by_the_next_and_counts_once(project: Project) -> None:
    _write(project, "worker", WORKER)
    (project.folder / "block").touch()
    worker = project.start("statemachine worker.yaml")
    project.shell("statemachine-db add-job j1 --type t")
    until(lambda: "start j1" in _text(project, "trace"))

    worker.kill()
    worker.wait()
    (project.folder / "block").unlink()
    project.start("statemachine worker.yaml")

    project.until_jobs("completed", "j1")
    assert _text(project, "trace").split("\n")[:-1] == ["start j1", "start j1", "end j1"]
    assert project.job("j1")["attempts"] == 2
    started = project.json("statemachine-db list --status completed")
    assert [job["job_id"] for job in started] == ["j1"]


def test_a_killed_machine_resumes_with_its_state_context_job_and_timer(project: Project) -> None:
    _write(project, "m", RESUMING)
    killed = project.start("statemachine m.yaml --context given=yes")
    project.until_state("m", "waiting")
    with Database.open(project.folder / "data" / "pipeline.db") as db:
        project.shell("statemachine-db add-job j1 --type t --payload '{\"size\": 3}'")
        left = until(lambda: (found := snapshots.get(db, "m")) and found.settled and found.job_id and found)
        killed.kill()
        killed.wait()

        project.start("statemachine m.yaml")
        again = until(lambda: (found := snapshots.get(db, "m")) and found.incarnation != left.incarnation and found)

    assert again.state == "working"
    assert again.timers == {"timeout(100)": pytest.approx(left.timers["timeout(100)"], abs=0.1)}
    project.shell("statemachine-db send-event --target m --type end")
    project.until_jobs("completed", "j1")
    assert _text(project, "trace") == "begin j1\nend j1 3 yes\n"
    assert project.job("j1")["attempts"] == 1


def test_events_sent_while_a_machine_is_down_arrive_in_order_at_its_start(project: Project) -> None:
    _write(project, "counter", COUNTER)
    for number in range(10):
        project.shell(f"statemachine-db send-event --target counter --type n --payload '{{\"n\": {number}}}'")

    project.start("statemachine counter.yaml")

    until(lambda: _text(project, "seen") == "- " + " ".join(map(str, range(10))) + " ")


def test_events_that_a_killed_machine_had_not_taken_are_delivered_to_the_next(project: Project) -> None:
    _write(project, "counter", COUNTER.replace("printf", "[ -e block ] && sleep 60; printf"))
    (project.folder / "block").touch()
    first = project.start("statemachine counter.yaml")
    project.until_state("counter", "counting")
    for number in range(5):
        project.shell(f"statemachine-db send-event --target counter --type n --payload '{{\"n\": {number}}}'")

    first.kill()
    first.wait()
    (project.folder / "block").unlink()
    project.start("statemachine counter.yaml")

    until(lambda: _text(project, "seen").endswith("0 1 2 3 4 "))


def test_a_long_action_keeps_neither_stop_nor_the_exit_waiting(project: Project) -> None:
    _write(project, "w", WORKER.replace("[ -e block ] && sleep 60", "sleep 60 & echo $! > child; wait"))
    process = project.start("statemachine w.yaml")
    project.shell("statemachine-db add-job j1 --type t")
    until(lambda: _text(project, "child"))

    started = time.monotonic()
    project.shell("statemachine-db send-event --target w --type stop")

    assert process.wait(30) == 0
    assert time.monotonic() - started < 20
    until(lambda: not alive(int(_text(project, "child"))))


def test_two_thousand_events_in_a_burst_all_arrive_in_order(project: Project) -> None:
    _write(project, "sink", SINK)
    project.start("statemachine sink.yaml")
    project.until_state("sink", "a")

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(project.env["STATEMACHINE_CONTROL_PREFIX"] + "-sink.sock")
        for number in range(2000):
            sender.send(json.dumps({"type": "n", "payload": {"n": number}}).encode())

    def arrived() -> list[int]:
        rows = project.json("statemachine-db list-events --target sink --limit 5000")
        return [_payload(row)["n"] for row in reversed(rows)]

    until(lambda: len(arrived()) == 2000, timeout_s=30)
    assert arrived() == list(range(2000))


def test_a_payload_of_100_kb_arrives_whole_and_one_of_1_mb_as_well(project: Project) -> None:
    _write(project, "sized", COUNTER.replace("default:-", "length"))
    project.start("statemachine sized.yaml")
    project.until_state("sized", "counting")
    for size in (100_000, 1_000_000):
        (project.folder / "payload.json").write_text(json.dumps({"n": "x" * size}))
        project.shell("""
            python3 - <<'PY'
from statemachine_engine.actors.sockets import delivery, unix_socket
from statemachine_engine.storage.engine.database import Database
import json
event = delivery.Event("n", json.load(open("payload.json")))
sockets = {"prefix": unix_socket.control_prefix(), "event_socket": unix_socket.event_socket()}
with Database.open() as db:
    delivery.send(db, ["sized"], event, **sockets)
PY
        """)

    until(lambda: _text(project, "seen").split()[-2:] == ["100000", "1000000"])


def test_a_sender_to_a_stopped_process_is_back_within_three_seconds_and_nothing_is_lost(project: Project) -> None:
    _write(project, "sink", SINK)
    process = project.start("statemachine sink.yaml")
    project.until_state("sink", "a")
    process.send_signal(signal.SIGSTOP)
    took = []
    for number in range(14):  # the kernel queues 10 or so
        started = time.monotonic()
        project.shell(f"statemachine-db send-event --target sink --type n --payload '{{\"n\": {number}}}'")
        took.append(time.monotonic() - started)
    process.send_signal(signal.SIGCONT)

    assert max(took) < 3
    changes = "statemachine-db transition-history --machine sink --limit 100"
    until(lambda: len(project.json(changes)) == 14)
    rows = project.json("statemachine-db list-events --target sink --status processed --limit 100")
    assert [_payload(row)["n"] for row in reversed(rows)] == list(range(14))


def test_malformed_datagrams_change_nothing(project: Project) -> None:
    _write(project, "sink", SINK)
    project.start("statemachine sink.yaml")
    project.until_state("sink", "a")
    bad = [b"", b"{", b"[]", b"5", b"\xff\xfe", b'{"payload": 1}', b'{"type": ""}', b'{"type": 7}', b"x" * 100_000]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(project.env["STATEMACHINE_CONTROL_PREFIX"] + "-sink.sock")
        for datagram in bad:
            sender.send(datagram)
        sender.send(b'{"type": "n"}')

    changes = "statemachine-db transition-history --machine sink"
    until(lambda: len(project.json(changes)) == 1)
    assert len(project.json("statemachine-db list-events --target sink")) == 1
    assert "refused" in project.log()
    assert "Traceback" not in project.log()


def test_an_event_from_another_folder_takes_nothing_from_this_ones(project: Project) -> None:
    _write(project, "counter", COUNTER)
    project.start("statemachine counter.yaml")
    project.until_state("counter", "counting")
    send = "statemachine-db send-event --target counter --type n --payload"

    project.shell(f"mkdir other; cd other; for n in 91 92 93; do {send} '{{\"n\": '$n'}}'; done")
    project.shell(f"for n in 1 2 3; do {send} '{{\"n\": '$n'}}'; done")

    until(lambda: _text(project, "seen").split() == ["-", "91", "92", "93", "1", "2", "3"])
    waiting = json.loads(project.shell("cd other; statemachine-db list-events --status pending --format json"))
    assert waiting == []


def test_a_machine_of_the_same_name_on_another_database_is_refused_with_exit_4(project: Project) -> None:
    _write(project, "sink", SINK)
    project.start("statemachine sink.yaml")
    project.until_state("sink", "a")

    said = project.shell("mkdir other; cd other; statemachine ../sink.yaml", code=4)

    assert "Machine sink runs already, with another database" in said
    project.shell("statemachine-db send-event --target sink --type n --require-running")


# Helpers


def _write(project: Project, name: str, text: str) -> None:
    (project.folder / f"{name}.yaml").write_text(text)


def _text(project: Project, name: str) -> str:
    path = project.folder / name
    return path.read_text() if path.exists() else ""


def _payload(row: dict[str, object]) -> dict[str, int]:
    payload = row["payload"]
    parsed: dict[str, int] = json.loads(payload) if isinstance(payload, str) else payload  # type: ignore[assignment]
    return parsed
