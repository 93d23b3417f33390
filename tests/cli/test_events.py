"""`statemachine-events`: its lines, its filters, how it begins and ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from statemachine_engine.actors.sockets import unix_socket
from statemachine_engine.cli.events import compact, human
from statemachine_engine.cli.events import events as command
from statemachine_engine.storage import audit
from statemachine_engine.storage.audit import Event, Note
from statemachine_engine.storage.clock import system_clock
from tests.support.until import until

JOB = {"job_id": "j1", "job_type": "t"}

LINES = [
    ("state_change", {"from_state": "a", "to_state": "b", "event_trigger": "ev"}, "🔄 m: a --ev--> b", "m → b"),
    ("job_started", JOB, "▶️  m: Started job j1", "m ▶️ j1"),
    ("job_completed", JOB, "✅ m: Completed job j1", "m ✅ j1"),
    ("job_failed", {**JOB, "error_message": "no disk"}, "❌ m: Failed job j1: no disk", "m ❌ j1"),
    ("error", {"error_message": "boom", "job_id": None}, "❌ m: boom", "m • error"),
    (
        "action_retry",
        {"action": "bash", "attempt": 2, "attempts": 4, "delay_s": 1.5, "error_message": "no net"},
        "🔁 m: bash: try 2 of 4 in 1.5 s: no net",
        "m • action_retry",
    ),
    ("activity_log", {"message": "hello", "level": "info"}, "📝 m: hello", "m • activity_log"),
    ("machine_registered", {"config_type": "m"}, "📡 m: machine_registered", "m • machine_registered"),
    ("odd", [1, 2], "📡 m: odd", "m • odd"),
]


@pytest.mark.parametrize(("type", "payload", "long", "short"), LINES)
def test_an_event_becomes_a_line(type: str, payload: Any, long: str, short: str) -> None:
    event = Event(1, "m", type, payload, 1_764_000_000.1234)

    assert human(event)[15:] == long
    assert human(event)[:15] == time.strftime("[%H:%M:%S.123] ", time.localtime(1_764_000_000))
    assert compact(event) == short


def test_what_is_in_an_event_cannot_reach_the_terminal_as_control_characters() -> None:
    event = Event(1, "m", "activity_log", {"message": "a\x1b[2J\nb"}, 0.0)

    assert human(event).endswith("📝 m: a\\x1b[2J\\nb")


def tell(place: Any, type: str, payload: dict[str, Any], machine: str = "m", ago_s: float = 0.0) -> int:
    (row_id,) = audit.write(place.open(), [Note(machine, type, payload, system_clock.now() - ago_s)])
    return row_id


def run(place: Any, *args: str) -> Result:
    return CliRunner().invoke(command, args, env=place.environ, prog_name="statemachine-events")


def start(place: Any, *args: str, **options: Any) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [str(place.bin / "statemachine-events"), *args], cwd=place.folder, env=place.process_environ, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip

    def end() -> None:
        process.kill()
        process.communicate()

    place.on_close(end)
    return process


def test_without_follow_everything_is_shown_and_that_is_all(place: Any) -> None:
    tell(place, "activity_log", {"message": "one"})
    tell(place, "activity_log", {"message": "two"}, machine="n")

    result = run(place, "--no-follow")

    assert result.exit_code == 0
    assert [line[15:] for line in result.stdout.splitlines()] == ["📝 m: one", "📝 n: two"]
    assert "Events of all machines" in result.stderr
    assert "2 events" in result.stderr


def test_json_is_the_envelope_of_the_event_socket_and_nothing_else_is_said(place: Any) -> None:
    row_id = tell(place, "state_change", {"from_state": "a", "to_state": "ü", "event_trigger": "e"})

    result = run(place, "--no-follow", "--format", "json")

    (line,) = result.stdout.splitlines()
    assert {**json.loads(line), "timestamp": 0} == {
        "machine_name": "m", "type": "state_change", "event_type": "state_change", "id": row_id, "timestamp": 0,
        "payload": {"from_state": "a", "to_state": "ü", "event_trigger": "e"},
    }  # fmt: skip
    assert result.stderr == ""


def test_machine_and_type_may_be_repeated(place: Any) -> None:
    for machine in ("a", "b", "c"):
        tell(place, "said", {}, machine=machine)
        tell(place, "kept", {}, machine=machine)

    result = run(place, "--no-follow", "--format", "compact", "--machine", "a", "--machine", "c", "--type", "said")

    assert result.stdout.splitlines() == ["a • said", "c • said"]


def test_since_takes_an_id_or_a_time(place: Any) -> None:
    first = tell(place, "old", {}, ago_s=3600)
    tell(place, "new", {}, ago_s=10)

    by_id = run(place, "--no-follow", "--format", "compact", "--since", str(first))
    by_time = run(place, "--no-follow", "--format", "compact", "--since", "10m")

    assert by_id.stdout == by_time.stdout == "m • new\n"


@pytest.mark.parametrize("value", ["soon", "-1", "", "9" * 5000])
def test_a_since_that_is_neither_is_refused(place: Any, value: str) -> None:
    result = run(place, "--no-follow", f"--since={value}")

    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_the_flags_of_older_scripts_are_taken(place: Any) -> None:
    tell(place, "said", {})

    result = run(place, "--no-follow", "--format", "compact", "--host", "localhost", "--port", "3002")

    assert (result.exit_code, result.stdout) == (0, "m • said\n")


def test_duration_ends_it(place: Any) -> None:
    place.open()

    result = run(place, "--duration", "0.05")

    assert result.exit_code == 0
    assert "0 events" in result.stderr


def test_no_database_to_read_exits_1_when_there_is_nothing_to_wait_for(bare: Any) -> None:
    not_followed = run(bare, "--no-follow")
    waited = run(bare, "--duration", "0.05")

    assert (not_followed.exit_code, waited.exit_code) == (1, 1)
    assert "no such database" in not_followed.stderr
    assert "waiting: " in waited.stderr


def test_a_database_that_comes_later_is_waited_for(bare: Any) -> None:
    process = start(bare, "--format", "compact")
    assert process.stderr is not None
    assert any("waiting" in line for line in process.stderr)

    tell(bare, "said", {})

    assert process.stdout is not None
    assert process.stdout.readline() == "m • said\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_well_and_leaves_no_socket(place: Any, number: signal.Signals) -> None:
    place.open()
    process = start(place)
    until(place.events.exists)

    process.send_signal(number)

    _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "events in" in said
    assert not place.events.exists()


def test_the_event_socket_notifies_it_before_its_next_poll(place: Any) -> None:
    place.open()
    process = start(place, "--format", "compact")
    until(place.events.exists)
    took_s = []
    for _ in range(5):
        began_s = time.monotonic()
        tell(place, "said", {})
        unix_socket.send_message(place.events, {"type": "said"})
        assert process.stdout is not None
        process.stdout.readline()
        took_s.append(time.monotonic() - began_s)

    assert min(took_s) < 0.1


def test_many_watch_at_once_and_each_sees_everything(place: Any) -> None:
    place.open()
    watchers = [start(place, "--format", "compact", "--since", "0") for _ in range(4)]

    for number in range(20):
        tell(place, f"said_{number}", {})

    for watcher in watchers:
        assert watcher.stdout is not None
        assert [watcher.stdout.readline() for _ in range(20)] == [f"m • said_{number}\n" for number in range(20)]


def test_a_reader_that_has_read_enough_ends_it_quietly(place: Any) -> None:
    note = Note("m", "said", {"text": "x" * 100}, system_clock.now())
    audit.write(place.open(), [note] * 3000)

    result = place.process(["bash", "-c", f"set -o pipefail; {place.bin}/statemachine-events --no-follow | head -1"])

    assert result.returncode == 0
    assert "Broken" not in result.stderr
    assert "Traceback" not in result.stderr


def test_an_idle_watcher_uses_hardly_any_cpu(place: Any) -> None:
    place.open()
    process = start(place)
    until(place.events.exists)
    before_s, began_s = cpu_s(process.pid), time.monotonic()

    until(lambda: time.monotonic() - began_s > 2)

    assert cpu_s(process.pid) - before_s <= 0.1


def cpu_s(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
