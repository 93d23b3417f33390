"""`statemachine` as a process: what it runs, how it ends, what it says."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from statemachine_engine.storage import machines
from tests.support.until import until

ENDS = """
initial_state: working
transitions:
  - {from: working, to: stopped, event: done}
actions:
  working:
    - {type: bash, command: "printf '%s' {greeting} > greeted.txt", success: done}
"""

FAILS = """
initial_state: working
final: {failure: [broken]}
transitions:
  - {from: working, to: broken, event: error}
actions:
  working:
    - {type: bash, command: "exit 3"}
"""

WAITS = """
initial_state: waiting
transitions:
  - {from: waiting, to: stopped, event: stop}
"""

SLEEPS = """
initial_state: sleeping
transitions:
  - {from: sleeping, to: stopped, event: done}
actions:
  sleeping:
    - {type: bash, command: "touch began; trap '' TERM; sleep 60 & wait; wait", timeout: 120, success: done}
"""


STUCK = """
initial_state: working
on_error: {tries: 1}
transitions:
  - {from: working, to: stopped, event: stop}
actions:
  working:
    - {type: bash, command: "exit 3"}
"""


def write(place: Any, name: str, text: str) -> str:
    (place.folder / name).write_text(text)
    return name


def start(place: Any, *args: str) -> subprocess.Popen[str]:
    """Start `statemachine ARGS` in the background; it ends with the installation."""
    return background(place, [str(place.bin / "statemachine"), *args])


def background(place: Any, command: list[str]) -> subprocess.Popen[str]:
    process = subprocess.Popen(command, cwd=place.folder, env=place.process_environ, text=True, stderr=subprocess.PIPE)
    place.on_close(lambda: end(process))
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    if process.stderr is not None:
        process.stderr.close()


def running(place: Any, name: str) -> Callable[[], bool]:
    """Return True if the registry calls the machine running."""
    database = place.open()

    def look() -> bool:
        row = machines.get(database, name)
        return row is not None and row.running

    return look


def test_a_machine_that_ends_well_exits_0_and_logs_to_stderr(place: Any) -> None:
    config = write(place, "ends.yaml", ENDS)

    result = place.shell("statemachine", config, "--context", "greeting=hello world")

    assert (result.returncode, result.stdout) == (0, "")
    assert (place.folder / "greeted.txt").read_text() == "hello world"
    assert " - INFO - " in result.stderr


def test_a_failure_outcome_exits_1(place: Any) -> None:
    assert place.shell("statemachine", write(place, "fails.yaml", FAILS)).returncode == 1


def test_the_initial_context_is_json_and_single_values_win_over_it(place: Any) -> None:
    config = write(place, "ends.yaml", ENDS)

    place.shell("statemachine", config, "--initial-context", '{"greeting": "a"}', "--context", "greeting=b")

    assert (place.folder / "greeted.txt").read_text() == "b"


def test_a_machine_is_named_by_its_option_or_else_by_its_file(place: Any) -> None:
    config = write(place, "ends.yaml", ENDS)

    place.shell("statemachine", config, "--context", "greeting=x", "--machine-name", "told")
    place.shell("statemachine", config, "--context", "greeting=x")

    assert [row["machine_name"] for row in place.json("machine-state")] == ["ends", "told"]


def test_several_machines_run_in_one_process(place: Any) -> None:
    result = place.shell("statemachine", write(place, "ends.yaml", ENDS), write(place, "fails.yaml", FAILS))

    assert result.returncode == 1
    assert [row["machine_name"] for row in place.json("machine-state")] == ["ends", "fails"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["ends.yaml", "ends.yaml", "--machine-name", "m"], "--machine-name goes with one CONFIG"),
        (["ends.yaml", "ends.yaml"], "two CONFIGs have the name ends"),
        (["ends.yaml", "--initial-context", "[1]"], "an object {…} is wanted"),
        (["ends.yaml", "--initial-context", "{"], "Invalid JSON initial context"),
        (["ends.yaml", "--context", "x"], "write key=value"),
        (["ends.yaml", "--actions-dir", "nowhere"], "--actions-dir nowhere: no such folder"),
        (["ends.yaml", "--grace", "soon"], "soon"),
        (["ends.yaml", "--colour"], "No such option"),
        (["missing.yaml"], "missing.yaml"),
        ([], "Missing argument"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(place: Any, args: list[str], said: str) -> None:
    write(place, "ends.yaml", ENDS)

    result = place.shell("statemachine", *args)

    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_all_problems_of_all_files_are_printed_before_anything_runs(place: Any) -> None:
    for name in ("one.yaml", "two.yaml"):
        write(place, name, "initial_state: a\ntransitions:\n  - {from: a, to: b}\n  - {from: yes, to: b, event: e}\n")

    result = place.shell("statemachine", "one.yaml", "two.yaml", write(place, "ends.yaml", ENDS))

    assert result.returncode == 2
    for place_in_file in ("one.yaml:3:", "one.yaml:4:", "two.yaml:3:", "two.yaml:4:"):
        assert place_in_file in result.stderr
    assert not (place.folder / "greeted.txt").exists()


def test_a_second_machine_of_a_name_is_refused_with_exit_4(place: Any) -> None:
    config = write(place, "waits.yaml", WAITS)
    first = start(place, config)
    until(running(place, "waits"))

    second = place.shell("statemachine", config)

    assert second.returncode == 4
    assert f"pid {first.pid}" in second.stderr
    assert running(place, "waits")()


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_in_order(place: Any, number: signal.Signals, exit_code: int) -> None:
    process = start(place, write(place, "waits.yaml", WAITS))
    until(running(place, "waits"))

    process.send_signal(number)

    _, log = process.communicate(timeout=20)
    assert process.returncode == exit_code
    assert "Traceback" not in log
    assert place.json("machine-state")[0]["running"] is False
    assert list(place.folder.glob("control*")) == []


def test_a_second_signal_does_not_wait_for_running_actions(place: Any) -> None:
    process = start(place, write(place, "sleeps.yaml", SLEEPS), "--grace", "1m")
    until((place.folder / "began").exists)

    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    assert any("SIGTERM: stopping" in line for line in process.stderr)
    process.send_signal(signal.SIGTERM)

    process.communicate(timeout=20)
    assert process.returncode == 0


def test_systemd_gets_its_status_and_sigusr1_logs_its_threads(place: Any) -> None:
    path = f"{place.prefix}-notify"
    systemd = place.listen(path)
    systemd.settimeout(20)
    place.environ.update(NOTIFY_SOCKET=path, WATCHDOG_USEC="1000000")
    process = start(place, write(place, "waits.yaml", WAITS), "--machine-name", "m")
    assert process.stderr is not None

    assert systemd.recv(100) == b"READY=1\nSTATUS=machines running: 1"
    assert systemd.recv(100) == b"WATCHDOG=1\nSTATUS=machines running: 1"
    process.send_signal(signal.SIGUSR1)
    lines = iter(process.stderr.readline, "")
    assert any(
        line.startswith("    machine m: running in state waiting, 0 messages in its inbox, no job") for line in lines
    )
    assert any(line == "    thread sm-actor-m:\n" for line in lines)

    process.terminate()
    said = iter(lambda: systemd.recv(100), b"")
    assert any(word.startswith(b"STOPPING=1") for word in said)
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_the_version_is_the_packages(place: Any) -> None:
    from importlib.metadata import version

    result = place.shell("statemachine", "--version")

    assert result.stdout == f"statemachine, version {version('statemachine-engine')}\n"


def test_debug_logs_more(place: Any) -> None:
    config = write(place, "ends.yaml", ENDS)

    quiet = place.shell("statemachine", config, "--context", "greeting=x")
    loud = place.shell("statemachine", config, "--context", "greeting=x", "--debug")

    assert " - DEBUG - " not in quiet.stderr
    assert loud.returncode == 0
    lines = [line.partition(" - DEBUG - ")[2] for line in loud.stderr.splitlines()]
    told = [line for line in lines if line.startswith("ends: ")]
    assert told[:2] == ["ends: working ----> working", "ends: action bash begins"]
    assert re.fullmatch(r"ends: action bash ended after [\d.]+ ms", told[2])
    assert told[3] == "ends: working --done--> stopped"


def test_a_machine_marked_failed_shows_in_the_exit_code(place: Any) -> None:
    process = start(place, write(place, "stuck.yaml", STUCK))
    assert process.stderr is not None
    assert any("failed in state working" in line for line in process.stderr)

    process.terminate()

    process.communicate(timeout=20)
    assert process.returncode == 1


def test_a_standby_takes_over_when_the_first_is_gone(place: Any) -> None:
    config = write(place, "waits.yaml", WAITS)
    first = start(place, config)
    until(running(place, "waits"))
    second = start(place, config, "--standby")
    assert second.stderr is not None
    assert any("standing by" in line for line in second.stderr)

    first.kill()
    first.communicate()

    until(lambda: place.json("machine-state")[0]["pid"] == second.pid)
    second.terminate()
    second.communicate(timeout=20)
    assert second.returncode == 0


def test_an_interrupt_that_the_parent_ignores_stays_ignored(place: Any) -> None:
    config = write(place, "waits.yaml", WAITS)
    process = background(place, ["sh", "-c", f"trap '' INT; exec {place.bin / 'statemachine'} {config}"])
    until(running(place, "waits"))

    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)

    process.communicate(timeout=20)
    assert process.returncode == 0


def test_the_module_can_be_run_without_its_script(place: Any) -> None:
    config = write(place, "ends.yaml", ENDS)

    result = place.process([sys.executable, "-m", "statemachine_engine.cli.run", config, "--context", "greeting=x"])

    assert (result.returncode, (place.folder / "greeted.txt").read_text()) == (0, "x")


def test_an_event_sent_while_no_machine_ran_is_delivered_at_the_start(place: Any) -> None:
    place.db("send-event", "--target", "waits", "--type", "stop")

    result = place.shell("statemachine", write(place, "waits.yaml", WAITS))

    assert result.returncode == 0
    assert [row["status"] for row in place.json("list-events")] == ["processed"]
    assert [row["event"] for row in place.json("transition-history")] == ["stop"]


def test_an_action_that_cannot_be_ended_does_not_hold_the_process(place: Any) -> None:
    (place.folder / "actions").mkdir()
    (place.folder / "actions" / "stuck_action.py").write_text(
        "import pathlib, time\n"
        "from statemachine_engine.actions import BaseAction\n"
        "class StuckAction(BaseAction):\n"
        "    def execute(self, context):\n"
        "        pathlib.Path('stuck').touch()\n"
        "        time.sleep(60)\n"
    )
    (place.folder / "m.yaml").write_text(
        "initial_state: a\ntransitions: [{from: a, to: b, event: go}]\nactions: {a: [{type: stuck}]}\n"
    )
    command = [str(place.bin / "statemachine"), "m.yaml", "--actions-dir", "actions", "--grace", "0"]
    with subprocess.Popen(command, cwd=place.folder, env=place.process_environ, stderr=subprocess.PIPE) as process:
        until((place.folder / "stuck").exists)
        process.terminate()
        _, said = process.communicate(timeout=30)

    assert process.returncode == 0
    assert b"leaving actions behind" in said


def test_a_state_that_is_gone_since_the_last_run_is_refused_with_exit_5_and_the_remedy(place: Any) -> None:
    text = (
        "initial_state: a\n"
        "on_restart: resume\n"
        "states: [a, {other}]\n"
        "transitions: [{{from: a, to: {other}, event: {event}}}]\n"
    )
    path = place.folder / "m.yaml"
    path.write_text(text.format(other="b", event="start"))
    command = [str(place.bin / "statemachine"), "m.yaml"]
    with subprocess.Popen(command, cwd=place.folder, env=place.process_environ, stderr=subprocess.PIPE) as process:
        until(lambda: [row for row in place.json("machine-state") if row["current_state"] == "b"])
        process.terminate()
        process.communicate(timeout=30)
    path.write_text(text.format(other="c", event="go"))

    refused = place.process(command)

    assert refused.returncode == 5
    assert "m has no state b to go on in; start it with --from and one of a, c" in refused.stderr
    path.write_text(text.format(other="c", event="go") + "final: [c]\n")
    assert place.process([*command, "--from", "c"]).returncode == 0
