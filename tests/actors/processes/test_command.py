"""Programs are run to their end, or ended with everything that they started."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from statemachine_engine.actors.concurrency.cancel_token import CancelToken
from statemachine_engine.actors.processes import command
from tests.support.until import until


def sh(script: str, **options):
    return command.run(["/bin/sh", "-c", script], **options)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def read_pid(path: Path) -> int:
    return int(until(lambda: path.exists() and path.read_text().strip()))


def open_fds() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_output_and_exit_code_are_kept_apart():
    assert sh("echo out; echo err >&2; exit 3") == command.Ended(3, b"out\n", b"err\n", False, False)


def test_a_signal_is_a_negative_exit_code():
    assert sh("kill -9 $$").exit_code == -9


def test_there_is_nothing_to_read_unless_given():
    assert sh("cat").stdout == b""
    assert sh("cat", stdin=b"given").stdout == b"given"


def test_more_input_than_a_pipe_holds_arrives_whole():
    data = os.urandom(3_000_000)
    assert sh("wc -c", stdin=data).stdout.strip() == b"3000000"


def test_both_streams_are_heard_while_they_come(tmp_path: Path):
    heard: list[bytes] = []
    gate = tmp_path / "gate"

    def hear(data: bytes) -> None:
        heard.append(data)
        gate.touch()

    ended = sh(f"echo out; until [ -e {gate} ]; do sleep 0.01; done; echo err >&2", on_output=hear, timeout_s=10)

    assert (ended.timed_out, b"".join(heard)) == (False, b"out\nerr\n")


def test_the_last_part_of_long_output_is_kept():
    ended = sh("yes 0123456 | head -c 1000000; echo end", kept_bytes=1000)

    assert len(ended.stdout) == 1000
    assert ended.stdout.endswith(b"end\n")


def test_the_cut_falls_between_characters():
    ended = sh("printf 'ä%.0s' $(seq 3000)", kept_bytes=1001)

    assert ended.stdout.decode() == "ä" * 500


def test_environment_and_folder_are_those_given(tmp_path):
    ended = sh('pwd; echo "$ONLY"', env={"ONLY": "this"}, cwd=tmp_path)

    assert ended.stdout.decode().split() == [str(tmp_path), "this"]


def test_it_runs_in_a_session_of_its_own():
    assert int(sh("ps -o sid= -p $$").stdout) != os.getsid(0)


def test_a_program_that_is_not_there_is_an_os_error_and_leaves_no_file_open():
    before = open_fds()
    with pytest.raises(FileNotFoundError):
        command.run(["/no/such/program"])

    assert open_fds() == before


def test_no_file_stays_open():
    before = open_fds()
    sh("true")
    sh("sleep 60", timeout_s=0.05)

    assert open_fds() == before


def test_the_time_limit_ends_the_whole_group(tmp_path):
    pid_file = tmp_path / "pid"
    started = time.monotonic()
    ended = sh(f"echo before; sleep 60 & echo $! > {pid_file}; sleep 60", timeout_s=0.3)

    assert ended.timed_out
    assert ended.exit_code == -15
    assert ended.stdout == b"before\n"
    assert time.monotonic() - started < 200
    assert not lives(read_pid(pid_file))


def test_what_ignores_term_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "GRACE_S", 0.1)
    pid_file = tmp_path / "pid"
    ended = sh(f"trap '' TERM; echo $$ > {pid_file}; while :; do sleep 1; done", timeout_s=0.2)

    assert ended.timed_out
    assert ended.exit_code == -9
    assert not lives(read_pid(pid_file))


def test_a_program_may_tidy_up_when_it_is_ended(tmp_path):
    done = tmp_path / "done"
    ended = sh(f"trap 'sleep 0.2; echo tidy; touch {done}; exit 0' TERM; sleep 60 & wait", timeout_s=0.1)

    assert ended.timed_out
    assert done.exists()
    assert ended.stdout == b"tidy\n"


def test_cancelling_ends_it_within_milliseconds(tmp_path):
    pid_file = tmp_path / "pid"
    token = CancelToken()
    results: list[command.Ended] = []
    script = f"sleep 60 & echo $! > {pid_file}; sleep 60"
    thread = threading.Thread(target=lambda: results.append(sh(script, cancel=token)))
    thread.start()
    child = read_pid(pid_file)

    started = time.monotonic()
    token.cancel()
    thread.join(30)

    assert time.monotonic() - started < command.GRACE_S
    assert results[0].cancelled
    assert not lives(child)


def test_one_that_was_cancelled_before_it_began_ends_at_once():
    token = CancelToken()
    token.cancel()

    assert sh("sleep 60", cancel=token).cancelled


def test_cancelling_after_the_end_is_harmless():
    token = CancelToken()
    assert not sh("true", cancel=token).cancelled
    token.cancel()


def test_a_child_left_in_the_background_is_waited_for_only_briefly(monkeypatch):
    monkeypatch.setattr(command, "DRAIN_S", 0.1)
    started = time.monotonic()
    ended = sh("sleep 60 & echo started $!")

    assert time.monotonic() - started < 2
    text, pid = ended.stdout.split()
    assert text == b"started"
    assert lives(int(pid))
    os.kill(int(pid), 9)


def test_late_output_of_a_pipeline_is_not_lost():
    assert sh("(sleep 0.1; echo late) & exit 0").stdout == b"late\n"


def test_without_a_pidfd_it_works_too(monkeypatch):
    monkeypatch.setattr(command, "_exit_fd", lambda pid: None)

    assert sh("exec >&- 2>&-; sleep 0.1; exit 4").exit_code == 4
    assert sh("sleep 60", timeout_s=0.1).timed_out


def test_many_at_once_do_not_disturb_each_other():
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(sh(f"exit {n}").exit_code), name=f"run-{n}")
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert sorted(results) == list(range(16))
