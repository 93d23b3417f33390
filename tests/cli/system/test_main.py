"""`statemachine-system` with real processes: up, killed, restarted, down, and nothing left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine.actors.system.control_server import Address, ControlServer
from statemachine_engine.storage import machines
from statemachine_engine.storage.engine.database import Database
from tests.support.processes import alive
from tests.support.project import Project
from tests.support.until import slowed, until

MACHINE = """
initial_state: waiting
transitions:
  - {from: waiting, to: busy, event: work}
  - {from: busy, to: waiting, event: job_done}
  - {from: waiting, to: broken, event: fail}
  - {from: waiting, to: stuck, event: jam}
  - {from: waiting, to: sleeping, event: sleep}
  - {from: "*", to: stopped, event: stop}
final: {failure: [broken]}
on_error: {tries: 0}
actions:
  busy: [{type: bash, command: "touch began; sleep 1; echo done >> done"}]
  stuck: [{type: bash, command: "exit 3"}]
  sleeping: [{type: bash, command: "sleep 60 & echo $! > asleep; mv asleep sleeps; wait"}]
"""

THREE = """
project: three
processes: {processes}
grace: 5s
machines:
  - config: m.yaml
    machine_name: last
    depends_on: [middle]
  - config: m.yaml
    machine_name: middle
    depends_on: [first]
  - config: m.yaml
    machine_name: first
"""

HANGS = """
project: hangs
processes: 2
grace: 500ms
machines:
  - {config: m.yaml, machine_name: needed}
  - {config: m.yaml, machine_name: needs_it, depends_on: [needed]}
"""

ONE = "project: one\nmachines: [{config: m.yaml, machine_name: m}]\n"


class Installed:
    """A project folder whose system is down, and gone, at the end of the test."""

    def __init__(self, folder: Path) -> None:
        self.project = Project(folder)
        self.folder = folder
        (folder / "m.yaml").write_text(MACHINE)
        self.pids: set[int] = set()

    def write(self, manifest: str) -> None:
        (self.folder / "statemachine-project.yaml").write_text(manifest)

    def run(self, *args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["statemachine-system", *args], cwd=self.folder, env={**self.project.env, **(env or {})},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def up(self, manifest: str) -> None:
        self.write(manifest)
        done = self.run("up", "--detach")
        assert done.returncode == 0, done.stderr + self.log()
        self.status()

    def status(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.project.listing("statemachine-system status").stdout)
        self.pids |= {pid for pid in (report["pid"], *(row["pid"] for row in report["machines"])) if pid}
        return report

    def machine(self, name: str) -> dict[str, Any]:
        return next(row for row in self.status()["machines"] if row["machine_name"] == name)

    def send(self, name: str, event: str) -> None:
        self.project.shell(f"statemachine-db send-event --target {name} --type {event}")

    def log(self) -> str:
        return "\n".join(path.read_text() for path in sorted((self.folder / "logs").glob("*.log")))

    def left(self) -> list[str]:
        """Processes, sockets and locks."""
        sockets = Path(self.project.env["STATEMACHINE_CONTROL_PREFIX"]).parent
        return [*map(str, filter(alive, self.pids)), *(path.name for path in sockets.iterdir())]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installed]:
    installed = Installed(tmp_path)
    yield installed
    if (tmp_path / "statemachine-project.yaml").exists():
        installed.run("down")
    for pid in filter(alive, installed.pids):
        os.kill(pid, signal.SIGKILL)
    installed.project.close()


@pytest.mark.parametrize("processes", [1, 3])
def test_three_machines_come_up_in_order_and_nothing_is_left_of_them(place: Installed, processes: int) -> None:
    place.up(THREE.format(processes=processes))

    report = place.status()
    assert {row["machine_name"]: row["status"] for row in report["machines"]} == dict.fromkeys(
        ("first", "middle", "last"), "running"
    )
    assert len({row["pid"] for row in report["machines"]}) == processes
    with Database.open(place.folder / "data" / "pipeline.db") as db:
        rows = {name: machines.get(db, name) for name in ("first", "middle", "last")}
    started = [row.started_at or 0.0 for row in rows.values() if row is not None]
    assert started == sorted(started)
    assert len(started) == 3

    down = place.run("down")

    assert (down.returncode, down.stdout) == (0, "✅ The system is down\n")
    until(lambda: not place.left())
    assert place.run("status").returncode == 3
    ends = [line.split(" - ")[-1] for line in place.log().splitlines() if line.endswith(": ended")]
    assert ends == ["last: ended", "middle: ended", "first: ended"]


def test_a_system_runs_on_postgresql_as_well(place: Installed, postgres_url: str) -> None:
    place.up(THREE.format(processes=2) + f"db: {json.dumps(postgres_url)}\n")

    row = place.machine("last")
    os.kill(row["pid"], signal.SIGKILL)

    until(lambda: back(place, row))
    assert place.machine("last")["current_state"] == "waiting"
    assert place.run("down").returncode == 0
    until(lambda: not place.left())


def test_a_second_up_is_refused_and_does_no_harm(place: Installed) -> None:
    place.up(THREE.format(processes=1))
    before = place.status()

    detached, foreground = place.run("up", "--detach"), place.run("up")

    assert (detached.returncode, foreground.returncode) == (0, 4)
    assert f"System three is up already (pid {before['pid']})" in detached.stdout
    assert f"System three is up already (pid {before['pid']})" in foreground.stderr
    assert place.status() == before


def test_down_when_it_is_not_up_says_so(place: Installed) -> None:
    place.write(ONE)

    done = place.run("down")

    assert (done.returncode, done.stdout) == (0, "The system is not up\n")


def test_a_killed_worker_process_is_back_within_five_seconds(place: Installed) -> None:
    place.up(THREE.format(processes=2))
    victims = [row for row in place.status()["machines"] if row["process"] == 1]

    os.kill(victims[0]["pid"], signal.SIGKILL)
    began_s = time.monotonic()
    for row in victims:
        until(lambda row=row: back(place, row))  # type: ignore[misc]

    assert time.monotonic() - began_s < 5 * slowed()
    untouched = next(row for row in place.status()["machines"] if row["process"] == 2)
    assert untouched["restarts"] == 0
    assert "was killed by SIGKILL" in place.log()


def test_a_process_that_cannot_be_started_again_is_tried_again_while_others_run(place: Installed) -> None:
    place.up(THREE.format(processes=2))
    victims = [row for row in place.status()["machines"] if row["process"] == 1]
    log = place.folder / "logs" / "process-1.log"
    log.unlink()
    log.mkdir()

    os.kill(victims[0]["pid"], signal.SIGKILL)
    until(lambda: "process 1 cannot be started" in str(place.machine(victims[0]["machine_name"])["error"]))
    assert next(row for row in place.status()["machines"] if row["process"] == 2)["status"] == "running"
    log.rmdir()

    for row in victims:
        until(lambda row=row: back(place, row))  # type: ignore[misc]
    assert "process 1 cannot be started: [Errno 21] Is a directory" in place.log()
    assert next(row for row in place.status()["machines"] if row["process"] == 2)["restarts"] == 0


def test_of_two_up_at_once_one_is_refused_with_the_other_named(place: Installed) -> None:
    place.write(ONE)
    manifest = place.folder / "statemachine-project.yaml"
    first = ControlServer(Address.of(manifest, place.project.env["STATEMACHINE_CONTROL_PREFIX"]))
    assert first.take()

    second = place.run("up", "--detach")
    first.release()

    assert second.returncode == 4
    assert "system one is up already, or just starting or ending" in second.stderr


def test_a_process_that_hangs_is_killed_and_the_machines_that_it_needed_stop_in_order(place: Installed) -> None:
    place.up(HANGS)
    rows = {row["machine_name"]: row for row in place.status()["machines"]}
    assert rows["needed"]["process"] != rows["needs_it"]["process"]
    commands = []
    for name in rows:
        place.send(name, "sleep")
        until((place.folder / "sleeps").exists)
        commands.append(int((place.folder / "sleeps").read_text()))
        (place.folder / "sleeps").unlink()

    os.kill(rows["needs_it"]["pid"], signal.SIGSTOP)

    assert place.run("down").returncode == 0
    assert f"process {rows['needs_it']['process']} does not stop: killed" in place.log()
    assert f"process {rows['needed']['process']} does not stop" not in place.log()
    until(lambda: not any(map(alive, commands)))
    until(lambda: not place.left())


def test_logs_that_were_cleared_away_keep_no_process_from_starting_again(place: Installed) -> None:
    place.up(ONE)
    row = place.status()["machines"][0]
    shutil.rmtree(place.folder / "logs")

    os.kill(row["pid"], signal.SIGKILL)

    until(lambda: back(place, row))
    assert place.run("down").returncode == 0


def test_a_system_whose_socket_and_lock_are_cleared_away_takes_its_place_again(place: Installed) -> None:
    place.up(ONE)
    folder = Path(place.project.env["STATEMACHINE_CONTROL_PREFIX"]).parent
    (socket_path,), (lock,) = folder.glob("*.system-*.sock"), folder.glob("*.system-*.lock")
    socket_path.unlink()
    lock.unlink()

    until(lambda: place.run("status").returncode == 0)
    assert lock.read_text() == f"{place.status()['pid']}\n"
    assert "control socket was gone" in place.log()
    assert place.run("down").returncode == 0
    until(lambda: not place.left())


def test_a_terminal_that_is_closed_while_it_comes_up_in_the_background_does_not_stop_it(place: Installed) -> None:
    place.write(ONE + 'hooks: {pre_start: "touch began; until [ -e closed ]; do sleep 0.05; done"}')
    starting = place.project.start("statemachine-system up --detach")
    until((place.folder / "began").exists)

    starting.send_signal(signal.SIGHUP)
    assert starting.wait(20) == -signal.SIGHUP
    (place.folder / "closed").touch()

    until(lambda: "system one is up" in place.log())
    assert place.status()["phase"] == "up"
    assert place.run("down").returncode == 0
    until(lambda: not place.left())


def back(place: Installed, before: dict[str, Any]) -> bool:
    row = place.machine(before["machine_name"])
    return bool(row["status"] == "running" and row["pid"] != before["pid"])


def test_five_crashes_in_a_minute_and_it_is_failed_shown_and_not_0(place: Installed) -> None:
    place.write(ONE)
    process = place.project.start("statemachine-system up")
    seen: set[int] = set()
    while process.poll() is None:
        pid = next_pid(place, seen, process)
        if pid is not None:
            seen.add(pid)
            os.kill(pid, signal.SIGKILL)

    assert process.wait(30) == 1
    assert len(seen) == 5
    status = place.run("status")
    assert status.returncode == 1
    assert "failed" in status.stdout
    assert "given up" in place.project.log()
    rows = place.project.json("statemachine-db machine-status")
    assert [(row["machine_name"], row["status"], row["pid"]) for row in rows] == [("m", "failed", None)]
    until(lambda: not place.left())


def next_pid(place: Installed, seen: set[int], process: subprocess.Popen[bytes]) -> int | None:
    """Return the machine's next process id; None if it does not start again."""

    def look() -> int:
        row = place.machine("m")
        fresh = row["status"] == "running" and row["pid"] not in seen
        return row["pid"] if fresh else -(process.poll() is not None)

    found = until(look)
    return found if found > 0 else None


def test_the_machines_of_a_killed_parent_stop_and_the_next_up_works(place: Installed) -> None:
    place.up(THREE.format(processes=2))
    report = place.status()

    os.kill(report["pid"], signal.SIGKILL)

    until(lambda: not any(alive(row["pid"]) for row in report["machines"]))
    assert place.run("status").returncode == 3
    done = place.run("up", "--detach")
    assert done.returncode == 0, done.stderr
    assert place.status()["pid"] != report["pid"]


def test_an_up_right_after_the_parent_was_killed_waits_for_what_still_stops(place: Installed) -> None:
    place.up(THREE.format(processes=2))

    os.kill(place.status()["pid"], signal.SIGKILL)
    done = place.run("up", "--detach")

    assert done.returncode == 0, done.stderr + place.log()


def test_what_a_killed_parent_has_left_is_cleared_by_down(place: Installed) -> None:
    place.up(ONE)
    report = place.status()
    os.kill(report["pid"], signal.SIGKILL)
    until(lambda: not any(alive(row["pid"]) for row in report["machines"]))
    assert place.left()

    assert place.run("down").returncode == 0

    assert not place.left()


def test_down_lets_a_running_action_end(place: Installed) -> None:
    place.up(ONE)
    place.send("m", "work")
    until((place.folder / "began").exists)

    place.run("down")

    assert (place.folder / "done").read_text() == "done\n"


def test_a_failure_is_restarted_and_an_end_is_not(place: Installed) -> None:
    place.up("project: two\nmachines: {a: {config: m.yaml}, b: {config: m.yaml}}")

    place.send("a", "fail")
    until(lambda: place.machine("a")["restarts"] == 1 and place.machine("a")["status"] == "running")
    place.send("b", "stop")
    until(lambda: place.machine("b")["status"] == "ended")

    assert place.run("status").returncode == 0


def test_a_stuck_machine_is_shown_as_failed_until_it_is_restarted(place: Installed) -> None:
    place.up(ONE)

    place.send("m", "jam")
    until(lambda: place.machine("m")["status"] == "failed")
    assert place.run("status").returncode == 1
    assert place.run("restart", "m").returncode == 0

    assert place.run("status").returncode == 0
    assert place.machine("m")["restarts"] == 0


def test_restart_leaves_the_others_of_the_process_alone(place: Installed) -> None:
    place.up(THREE.format(processes=1))
    with Database.open(place.folder / "data" / "pipeline.db") as db:
        before = {row.machine_name: row.started_at for row in machines.list_(db)}

        done = place.run("restart", "first")

        after = {row.machine_name: row.started_at for row in machines.list_(db)}
    assert (done.returncode, done.stdout) == (0, "✅ first is running\n")
    assert [name for name in before if before[name] != after[name]] == ["first"]


def test_restart_starts_a_machine_that_is_started_by_hand(place: Installed) -> None:
    place.up("project: p\nmachines: {a: {config: m.yaml}, b: {config: m.yaml, start: manual}}")
    assert place.machine("b")["status"] == "off"

    assert place.run("restart", "b").returncode == 0

    assert place.machine("b")["status"] == "running"


def test_restart_says_what_is_in_its_way(place: Installed) -> None:
    place.write(ONE)
    not_up = place.run("restart", "m")
    place.up(ONE)
    unknown = place.run("restart", "nobody")

    assert (not_up.returncode, unknown.returncode) == (3, 1)
    assert "statemachine-system up" in not_up.stderr
    assert "there is no machine 'nobody'" in unknown.stderr


def test_up_fails_when_a_machine_runs_elsewhere_and_takes_the_rest_down(place: Installed) -> None:
    place.project.start("statemachine m.yaml --machine-name middle")
    place.project.until_state("middle", "waiting")
    place.write(THREE.format(processes=1) + "restart: {delay: 10ms}\n")

    done = place.run("up", "--detach")

    assert done.returncode == 4
    assert "middle" in done.stderr
    assert "pid" in done.stderr
    assert place.run("status").returncode == 3


@pytest.mark.parametrize("detach", [[], ["--detach"]])
def test_a_broken_machine_file_is_found_before_anything_starts(place: Installed, detach: list[str]) -> None:
    place.write("project: p\nmachines: [m.yaml, bad.yaml]")
    (place.folder / "bad.yaml").write_text("initial_state: [a]")

    done = place.run("up", *detach)

    assert done.returncode == 2
    assert "bad.yaml:1:16: error: " in done.stderr
    assert not (place.folder / "logs").exists()


def test_a_missing_manifest_is_reported_with_the_remedy(place: Installed) -> None:
    done = place.run("up")

    assert done.returncode == 2
    assert "--manifest" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_hooks_run_around_start_and_stop(place: Installed) -> None:
    place.up(ONE + 'hooks: {pre_start: "echo $STATEMACHINE_DB > pre", post_start: [touch post], pre_stop: touch stop}')
    assert (place.folder / "pre").read_text() == f"sqlite:///{place.folder}/data/pipeline.db\n"
    assert (place.folder / "post").exists()
    assert not (place.folder / "stop").exists()

    place.run("down")

    assert (place.folder / "stop").exists()


def test_a_failing_pre_start_hook_keeps_everything_from_starting(place: Installed) -> None:
    place.write(ONE + "hooks: {pre_start: exit 7}")

    done = place.run("up", "--detach")

    assert done.returncode == 1
    assert "pre_start" in done.stderr
    assert not place.left()


@pytest.mark.parametrize("after", ["", "exit 7"])
@pytest.mark.parametrize(("name", "code"), [("TERM", 0), ("INT", 130)])
def test_a_signal_while_a_pre_start_hook_runs_keeps_everything_from_starting(
    place: Installed, name: str, code: int, after: str
) -> None:
    # signals that wait together may change places: what came before the first USR1 has been heard before the second
    report = 'kill -USR1 $PPID; until [ $(grep -c "^ *system one: " seen) = %d ]; do sleep 0.05; done'
    hook = f"kill -{name} $PPID; {report % 1}; {report % 2}; {after}"
    place.write(f"{ONE}hooks: {{pre_start: {hook!r}}}\n")
    process = place.project.start("statemachine-system up 2> seen")

    assert process.wait(30) == (code or (1 if after else 0))
    assert list(place.folder.glob("logs/*.log")) == []
    assert not place.left()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_takes_it_down_in_order(place: Installed, number: signal.Signals, code: int) -> None:
    place.write(THREE.format(processes=2))
    process = place.project.start("statemachine-system up")
    place.project.until_logged("system three is up")
    place.status()

    process.send_signal(number)

    assert process.wait(20) == code
    until(lambda: not place.left())


def test_a_second_signal_does_not_wait_for_running_actions(place: Installed) -> None:
    (place.folder / "m.yaml").write_text(MACHINE.replace("sleep 1", "sleep 60"))
    place.write(ONE + "grace: 50s\n")
    process = place.project.start("statemachine-system up")
    place.project.until_logged("system one is up")
    place.send("m", "work")
    until((place.folder / "began").exists)

    process.terminate()
    place.project.until_logged("SIGTERM: stopping")
    process.terminate()

    assert process.wait(20) == 0


def test_a_system_whose_machines_have_all_ended_ends(place: Installed) -> None:
    place.write(ONE)
    process = place.project.start("statemachine-system up")
    place.project.until_logged("system one is up")

    place.send("m", "stop")

    assert process.wait(20) == 0


def test_bash_actions_and_hooks_find_the_database_of_the_system(place: Installed) -> None:
    (place.folder / "m.yaml").write_text(MACHINE.replace("echo done >> done", "echo $STATEMACHINE_DB > done"))
    place.up(ONE + "db: other.db\n")
    place.project.env["STATEMACHINE_DB"] = str(place.folder / "other.db")

    place.send("m", "work")

    until(lambda: (place.folder / "done").exists() and (place.folder / "done").read_text())
    assert (place.folder / "done").read_text() == f"sqlite:///{place.folder}/other.db\n"


def test_logs_are_shown_by_machine_and_followed(place: Installed) -> None:
    place.up(THREE.format(processes=3))
    first = place.run("logs", "first")
    everything = place.run("logs")
    following = subprocess.Popen(
        ["statemachine-system", "logs", "-f", "-n", "1", "first"], cwd=place.folder, env=place.project.env, text=True,
        stdout=subprocess.PIPE,
    )  # fmt: skip

    assert "first: running" in first.stdout
    assert "middle" not in first.stdout
    assert "system | " in everything.stdout
    assert "process-2 | " in everything.stdout
    assert place.run("logs", "nobody").returncode == 1
    with following:
        assert following.stdout is not None
        assert following.stdout.readline()
        place.run("restart", "first")
        assert any("first: stopped in state waiting" in line for line in following.stdout)
        following.send_signal(signal.SIGINT)
    assert following.returncode == 130


def test_validate_tells_everything_in_text_and_json(place: Installed) -> None:
    place.write(ONE)
    good = place.run("validate")
    place.write("machines: [m.yaml, bad.yaml]\nprocess: 2\n")
    (place.folder / "bad.yaml").write_text("initial_state: [a]")
    bad, listed = place.run("validate"), place.run("validate", "--format", "json")

    assert (good.returncode, good.stdout) == (0, "✅ one: 1 machine\n")
    assert bad.returncode == listed.returncode == 1
    assert "did you mean 'processes'?" in bad.stderr
    assert {(Path(row["file"]).name, row["severity"]) for row in json.loads(listed.stdout)} >= {
        ("statemachine-project.yaml", "warning"), ("bad.yaml", "error"),
    }  # fmt: skip


def test_the_unit_is_one_that_systemd_takes(place: Installed) -> None:
    place.write("project: 100% mine\nmachines: [m.yaml]")

    unit = place.run("systemd").stdout

    assert "Type=notify" in unit
    assert "Description=State machines of 100%% mine" in unit
    assert f'"{place.folder}/statemachine-project.yaml"' in unit
    analyze = Path("/usr/bin/systemd-analyze")
    if not analyze.exists():
        pytest.skip("no systemd-analyze")
    (place.folder / "x.service").write_text(unit)
    said = subprocess.run(
        [analyze, "verify", place.folder / "x.service"], capture_output=True, text=True, check=False, timeout=60
    )
    assert "x.service" not in said.stderr


def test_systemd_is_notified_when_all_are_ready(place: Installed, tmp_path: Path) -> None:
    import socket

    place.write(ONE)
    path = Path(place.project.env["STATEMACHINE_EVENT_SOCKET"]).with_name("notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(20)
        place.project.env["NOTIFY_SOCKET"] = str(path)
        process = place.project.start("statemachine-system up")

        assert listener.recv(100) == b"READY=1\nSTATUS=machines running: 1"
        assert place.machine("m")["status"] == "running"
        process.terminate()
        assert listener.recv(100).startswith(b"STOPPING=1")
    assert process.wait(20) == 0
    path.unlink()


def test_a_hundred_instances_come_up_in_one_process(place: Installed) -> None:
    began_s = time.monotonic()
    place.up("project: many\nmachines: [{config: m.yaml, machine_name: m, instances: 100}]")

    rows = place.status()["machines"]
    assert [row["machine_name"] for row in rows][::99] == ["m_001", "m_100"]
    assert {row["status"] for row in rows} == {"running"}
    assert len({row["pid"] for row in rows}) == 1
    assert time.monotonic() - began_s < 30


def test_the_module_can_be_run_without_its_script(place: Installed) -> None:
    place.write(ONE)

    done = place.project.shell(f"{sys.executable} -m statemachine_engine.cli.system.main validate")

    assert "one: 1 machine" in done
