"""Machines from a shell."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest

from statemachine_engine.storage import jobs, machines


def test_machine_state_shows_where_every_machine_is(place: Any) -> None:
    place.machine("worker", state="processing")
    place.machine("gone", pid=dead_pid())

    lines = place.db("machine-state").stdout.splitlines()

    assert lines[0].split() == ["Machine", "Current", "State", "Running", "PID", "Last", "Activity"]
    assert lines[1].split()[:3] == ["gone", "waiting", "no"]
    assert lines[2].split()[:4] == ["worker", "processing", "yes", str(os.getpid())]
    assert lines[2].split()[4].startswith("20")


def test_the_json_form_keeps_the_older_keys(place: Any) -> None:
    place.machine("worker", state="processing")

    (machine,) = place.json("machine-state")

    assert list(machine)[:5] == ["machine_name", "current_state", "last_activity", "pid", "metadata"]
    assert isinstance(machine["last_activity"], float)
    assert (machine["running"], machine["status"], machine["config_type"]) == (True, "running", "worker_config")


def test_nothing_known_is_said(place: Any) -> None:
    assert place.db("machine-state").output == "No machines found\n"
    assert place.json("machine-state") == []


@pytest.mark.parametrize("command", ["machine-state", "machine-status"])
def test_one_machine_can_be_asked_for_and_an_unknown_one_is_an_error(place: Any, command: str) -> None:
    place.machine("a")
    place.machine("b")

    assert [row["machine_name"] for row in place.json(command, "--machine", "b")] == ["b"]
    unknown = place.db(command, "--machine", "x")
    assert (unknown.exit_code, unknown.output) == (1, "Machine x not found\n")


def test_machine_status_tells_the_dead_from_the_ended(place: Any) -> None:
    database = place.open()
    for name in ("running", "failed", "ended"):
        place.machine(name)
        machines.update(database, name, incarnation(name), status=name)
    machines.release(database, "ended", incarnation("ended"))
    place.machine("dead", pid=dead_pid())

    statuses = {row["machine_name"]: row["status"] for row in place.json("machine-status")}

    assert statuses == {"running": "running", "failed": "failed", "ended": "ended", "dead": "dead"}
    assert place.db("machine-status").stdout.split()[:3] == ["Machine", "Status", "Current"]


def test_a_machine_on_another_host_runs_as_long_as_its_heart_beats(place: Any) -> None:
    database = place.open()
    place.machine("far", host="elsewhere", pid=1)
    assert place.json("machine-state")[0]["running"] is True

    machines.heartbeat(database, f"elsewhere/{1}/0/far", lease_s=-1)

    assert place.json("machine-state")[0]["running"] is False


def test_health_names_what_needs_attention(place: Any) -> None:
    database = place.open()
    place.machine("fine")
    assert place.db("machine-health").output == (
        "Machine Health: healthy\n  Machines running: 1 of 1\n  Jobs: none\n  Stuck jobs: 0\n"
    )
    place.machine("gone", pid=dead_pid())
    jobs.enqueue(database, "stuck", "t")
    jobs.claim(database, owner="nobody", lease_s=-1)

    health = place.json("machine-health")
    assert health["healthy"] is False
    assert (health["dead"], health["stuck_jobs"], health["jobs"]) == (["gone"], ["stuck"], {"processing": 1})
    shown = place.db("machine-health").output
    assert "needs attention" in shown
    assert "  Machines dead: gone\n" in shown
    assert "retry stuck" in shown


def dead_pid() -> int:
    """Return the id of a process that has ended."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def incarnation(name: str) -> str:
    return f"{socket.gethostname()}/{os.getpid()}/0/{name}"
