"""A shell command's end becomes an event, its output context values."""

from __future__ import annotations

import logging
import shlex
import threading
import time

import pytest

from statemachine_engine.actors.actions.bash_action import BashAction
from statemachine_engine.actors.errors import ActionError, MachineError
from statemachine_engine.actors.processes import command
from statemachine_engine.storage import jobs
from statemachine_engine.storage.jobs import attempts
from tests.support.processes import alive
from tests.support.until import until


def test_exit_code_zero_yields_job_done(bench):
    assert bench.run("bash", command="true") == "job_done"
    assert bench.context["last_exit_code"] == 0
    assert "last_error" not in bench.context


def test_success_names_the_event(bench):
    assert bench.run("bash", command="true", success="resized") == "resized"


def test_output_is_kept_and_shown(bench, caplog):
    with caplog.at_level(logging.INFO):
        bench.run("bash", command="echo Processing job; echo warning >&2")

    assert bench.context["last_stdout"] == "Processing job\n"
    assert bench.context["last_stderr"] == "warning\n"
    assert "[tester] Processing job" in caplog.messages


def test_much_output_is_shown_in_part_and_kept_in_part(bench, caplog):
    with caplog.at_level(logging.INFO):
        bench.run("bash", command="yes | head -c 200000")

    assert len(bench.context["last_stdout"]) == command.KEPT_BYTES
    assert max(map(len, caplog.messages)) < 2100


def test_output_that_is_no_text_does_not_matter(bench):
    assert bench.run("bash", command=r"printf '\377\376ok'") == "job_done"
    assert bench.context["last_stdout"].endswith("ok")


# Failures


def test_a_failure_says_what_failed_and_why(bench):
    assert bench.run("bash", command="echo no space >&2; exit 7") == "error"
    assert bench.context["last_error"] == "Command failed (exit 7): no space\nCommand: echo no space >&2; exit 7"
    assert bench.context["last_error_action"] == "bash"
    assert bench.context["last_error_command"] == "echo no space >&2; exit 7"
    assert bench.context["last_error_exit_code"] == bench.context["last_exit_code"] == 7


@pytest.mark.parametrize(
    ("config", "event"),
    [
        ({"error": "job_failed"}, "job_failed"),
        ({"failure": "gone_wrong"}, "gone_wrong"),
        ({"error": "job_failed", "failure": "gone_wrong"}, "job_failed"),
        ({"error_mappings": {7: "seven"}}, "seven"),
        ({"error_mappings": {"7": "seven"}, "error": "job_failed"}, "seven"),
        ({"error_mappings": {8: "eight"}}, "error"),
        ({"error_mappings": None}, "error"),
    ],
)
def test_a_failures_event_can_be_named(bench, config, event):
    assert bench.run("bash", command="exit 7", **config) == event


def test_error_mappings_that_are_no_mapping_are_refused(bench):
    with pytest.raises(ActionError, match="mapping of exit codes"):
        bench.run("bash", command="exit 3", error_mappings=["x"])


def test_the_current_job_is_kept_after_a_failure(bench):
    jobs.enqueue(bench.db, "j1", "work")
    bench.run("check_database_queue")
    bench.run("bash", command="false")

    assert bench.context["current_job"]["id"] == "j1"


def test_what_a_command_writes_is_kept_with_the_attempt_at_the_job(bench):
    jobs.enqueue(bench.db, "j1", "work")
    bench.run("bash", command="echo before the job")
    bench.run("check_database_queue")
    bench.run("bash", command="echo one; echo two >&2")
    bench.run("bash", command="echo three; exit 3")
    bench.run("complete_job")

    (attempt,) = attempts.of(bench.db, jobs.get(bench.db, "j1"))
    assert sorted(attempt.output.split()) == ["one", "three", "two"]
    assert attempt.output.endswith("three\n")


@pytest.mark.parametrize("config", [{}, {"command": ""}, {"command": None}])
def test_a_command_is_required(bench, config):
    with pytest.raises(ActionError, match="'command' is required"):
        bench.run("bash", **config)


def test_a_shell_that_is_not_there_is_an_error(bench):
    with pytest.raises(ActionError, match="cannot be started: No such file or directory: /no/shell"):
        bench.run("bash", command="true", shell="/no/shell")


# The time limit


@pytest.mark.parametrize("timeout", [0.1, "0.1", "100ms"])
def test_the_time_limit_is_a_number_or_a_text(bench, timeout):
    assert bench.run("bash", command="sleep 60", timeout=timeout) == "error"
    assert bench.context["last_error"] == "Command timed out after 0.1 seconds\nCommand: sleep 60"


def test_the_time_limit_has_an_event_of_its_own(bench):
    assert bench.run("bash", command="sleep 60", timeout=0.05, timeout_event="too_slow") == "too_slow"
    assert bench.run("bash", command="sleep 60", timeout=0.05, error="job_failed") == "job_failed"


@pytest.mark.parametrize("timeout", [0, None, "0"])
def test_the_time_limit_can_be_lifted(bench, timeout):
    assert bench.make("bash", timeout=timeout)._timeout_s() is None
    assert bench.make("bash")._timeout_s() == 30


def test_what_is_no_time_limit_is_refused(bench):
    with pytest.raises(ActionError, match="'timeout'"):
        bench.run("bash", command="true", timeout="soon")


def test_cancelling_ends_the_command_at_once(bench, tmp_path):
    pid_file = tmp_path / "pid"
    results = []
    command = f"echo $$ > {shlex.quote(str(pid_file))}; sleep 60"
    thread = threading.Thread(target=lambda: results.append(bench.run("bash", command=command)))
    thread.start()
    until(lambda: pid_file.exists() and pid_file.read_text())

    started = time.monotonic()
    bench.services.cancel.cancel()
    thread.join(30)

    assert time.monotonic() - started < 20
    assert results == [None]
    assert "last_error" not in bench.context


# Where and with what it runs


def test_it_runs_in_the_folder_that_is_named(bench, tmp_path):
    bench.run("bash", command="pwd", cwd=str(tmp_path))
    assert bench.context["last_stdout"].strip() == str(tmp_path)


def test_a_folder_that_is_not_there_is_an_error(bench, tmp_path):
    with pytest.raises(ActionError, match="'cwd' is no folder"):
        bench.run("bash", command="true", cwd=str(tmp_path / "none"))


def test_variables_are_added_to_the_environment(bench, monkeypatch):
    monkeypatch.setenv("FROM_OUTSIDE", "o")
    bench.run("bash", command='echo "$FROM_OUTSIDE $NUMBER $LIST"', env={"NUMBER": 3, "LIST": [1], "NONE": None})
    assert bench.context["last_stdout"] == "o 3 [1]\n"


def test_an_environment_that_is_no_mapping_is_refused(bench):
    with pytest.raises(ActionError, match="'env' has to be a mapping"):
        bench.run("bash", command="true", env=["A=1"])


@pytest.mark.parametrize(("given", "read"), [("text", "text"), ({"a": 1}, '{"a": 1}'), (7, "7"), (None, "")])
def test_it_reads_what_it_is_given(bench, given, read):
    bench.run("bash", command="cat", stdin=given)
    assert bench.context["last_stdout"] == read


def test_another_shell_can_be_named(bench):
    bench.run("bash", command='a=(1 2 3); echo "${a[2]} $-"', shell="bash -e")
    assert bench.context["last_stdout"].startswith("3 e")


# Values


def test_values_reach_the_shell_as_single_words(bench, tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    bench.context["name"] = "a b; touch hacked $(touch hacked) `touch hacked` '\" *"
    bench.run("bash", command="printf '<%s>' {name}; printf '<%s>' \"{name}\"", cwd=str(folder))

    assert bench.context["last_stdout"] == f"<{bench.context['name']}>" * 2
    assert list(folder.iterdir()) == []


def test_the_error_shows_the_command_with_its_values(bench):
    bench.context["file"] = "a b.txt"
    bench.run("bash", command="cat {file}")

    assert bench.context["last_error_command"] == "cat a b.txt"


def test_a_value_that_is_too_long_for_the_system_goes_through_stdin(bench):
    bench.context["huge"] = "x" * 3_000_000
    with pytest.raises(MachineError, match="use stdin:"):
        bench.run("bash", command="echo {huge}")

    bench.run("bash", command="wc -c", stdin=bench.context["huge"])
    assert bench.context["last_stdout"].strip() == "3000000"


def test_values_that_are_too_long_together_are_explained(bench):
    with pytest.raises(ActionError, match="give large ones through stdin"):
        bench.run("bash", command="true", env={f"V{n}": "x" * 120_000 for n in range(80)})


def test_a_jobs_own_command_is_used_only_where_allowed(bench):
    jobs.enqueue(bench.db, "j1", "work", data={"command": "echo theirs {n}", "n": 3})
    bench.run("check_database_queue")

    bench.run("bash", command="echo ours")
    assert bench.context["last_stdout"] == "ours\n"
    bench.run("bash", command="echo ours", allow_job_command=True)
    assert bench.context["last_stdout"] == "theirs 3\n"


def test_ours_runs_where_the_job_has_no_command(bench):
    bench.run("bash", command="echo ours", allow_job_command=True)
    assert bench.context["last_stdout"] == "ours\n"


# Results


def test_json_on_stdout_becomes_context_values(bench):
    bench.run("bash", command="""echo '{"width": 8, "tags": ["a"], "machine_name": "evil"}'""", capture="json")

    assert (bench.context["width"], bench.context["tags"]) == (8, ["a"])
    assert bench.context["machine_name"] == "tester"


def test_json_may_be_longer_than_the_output_that_is_kept(bench):
    bench.run(
        "bash", command="""printf '{"a": "'; head -c 300000 /dev/zero | tr '\\0' x; printf '"}'""", capture="json"
    )

    assert len(bench.context["a"]) == 300_000
    assert len(bench.context["last_stdout"]) == command.KEPT_BYTES


def test_json_that_is_no_object_can_be_stored_under_a_name(bench):
    bench.run("bash", command="echo '[1, 2]'", capture="json", store_as="found")
    assert bench.context["found"] == [1, 2]


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("echo oops", "Expecting value"),
        ("head -c 5000 /dev/zero | tr '\\0' '['", "nested more than 64 levels deep"),
        ("echo '{\"a\": NaN}'", "NaN is not JSON"),
    ],
)
def test_output_that_is_no_json_is_warned_of(bench, caplog, command, fault):
    assert bench.run("bash", command=command, capture="json") == "job_done"
    assert f"stdout is not JSON: {fault}" in caplog.text


def test_output_can_be_stored_as_text(bench):
    bench.run("bash", command="echo one; echo two", store_as="lines")
    assert bench.context["lines"] == "one\ntwo"


def test_a_failed_command_stores_nothing(bench):
    bench.run("bash", command="echo partial; false", store_as="result")
    assert "result" not in bench.context


def test_it_works_on_its_own_too():
    context: dict[str, object] = {}
    assert BashAction({"command": "echo alone"}).execute(context) == "job_done"
    assert context["last_stdout"] == "alone\n"


def test_no_program_is_left_behind(bench, tmp_path):
    pids = tmp_path / "pids"
    bench.run("bash", command=f"sleep 60 & echo $! $$ > {pids}; sleep 60", timeout=1)

    until(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()))
