"""Nobody reads what a process prints any more."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.support.page import free_port
from tests.support.project import Project
from tests.support.until import until

DOOR = """
initial_state: open
transitions: [{from: open, to: closed, event: shut}]
final: [closed]
actions: {closed: [{type: bash, command: "echo click; echo clack >&2"}]}
"""


@pytest.fixture
def process(project: Project) -> Iterator[subprocess.Popen[bytes]]:
    """A lamp whose log goes into a pipe that takes 4 KiB."""
    with subprocess.Popen(
        ["bash", "-c", "exec statemachine lamp.yaml"],
        cwd=project.folder,
        env=project.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        assert b"lamp: running" in process.stdout.readline()
        yield process
        process.kill()


def test_a_machine_whose_log_nobody_reads_any_more_goes_on_and_ends_in_order(
    project: Project, process: subprocess.Popen[bytes]
) -> None:
    assert process.stdout is not None
    process.stdout.close()

    for _ in range(3):
        project.shell("statemachine-db send-event --target lamp --type nonsense")  # each is a line of the log
    project.shell("statemachine-db send-event --target lamp --type switch")
    project.until_state("lamp", "lit")

    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


@pytest.mark.parametrize("is_read_again", [True, False])
def test_a_machine_whose_log_is_a_full_pipe_goes_on_and_ends_in_order(
    is_read_again: bool, project: Project, process: subprocess.Popen[bytes]
) -> None:
    assert process.stdout is not None
    _fill(project)

    if is_read_again:
        lines = [process.stdout.readline() for _ in range(100)]
        assert [f"nonsense-{n}".encode() in line for n, line in enumerate(lines)] == [True] * 100, lines
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_stacks_that_a_full_pipe_does_not_take_hold_up_no_end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    ours = os.open(f"/proc/self/fd/{process.stdout.fileno()}", os.O_WRONLY | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(ours, b".")
    os.close(ours)

    process.send_signal(signal.SIGUSR2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


@pytest.mark.parametrize("redirected", ["", "> /dev/full 2>&1"])
def test_a_page_whose_log_nobody_can_take_is_served_and_ends_in_order(redirected: str, project: Project) -> None:
    port = free_port()
    with (
        subprocess.Popen(
            ["bash", "-c", f"exec statemachine-ui --debug --no-websocket --port {port} {redirected}"],
            cwd=project.folder,
            env=project.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as page,
        ExitStack() as stack,
    ):
        stack.callback(page.kill)
        assert page.stdout is not None
        fcntl.fcntl(page.stdout, fcntl.F_SETPIPE_SZ, 4096)
        until(lambda: _status(port, "/ready") == 200)

        assert {_status(port, f"/{n}") for n in range(100)} == {404}  # each is a line of the log
        (child,) = Path(f"/proc/{page.pid}/task/{page.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGKILL)  # whoever begins the next one has lines to log, too
        until(lambda: _status(port, "/health") == 200)
        page.stdout.close()
        page.terminate()
        assert page.wait(20) == 0


def _status(port: int, path: str) -> int:
    """Return the HTTP status of the page; 0 without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def _fill(project: Project) -> None:
    """Have the lamp log more than a pipe of 4 KiB takes."""
    for number in range(100):
        _send(project, f"nonsense-{number}")  # each is a line of the log, of more than a hundred bytes
    _send(project, "switch")
    project.until_state("lamp", "lit")


def _send(project: Project, event: str) -> None:
    """Send a datagram that has no row."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(project.env["STATEMACHINE_CONTROL_PREFIX"] + "-lamp.sock")
        sender.send(json.dumps({"type": event}).encode())


def test_a_listing_whose_reader_has_enough_ends_quietly(project: Project) -> None:
    project.shell('for n in $(seq 3000); do echo \'{"job_type": "t"}\'; done | statemachine-db add-jobs -')

    said = project.shell("set +o pipefail; statemachine-db export 2>errors | head -1; cat errors")

    assert len(said.splitlines()) == 1
    assert "t" in said


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_stream_changes_nothing_of_what_a_command_does(closed: str, project: Project) -> None:
    (project.folder / "door.yaml").write_text(DOOR)

    said = project.shell(f"statemachine-db add-job one --type t {closed}")
    said += project.shell(f"statemachine-db send-event --target door --type shut {closed}")
    said += project.shell(f"statemachine door.yaml {closed}")
    said += project.shell(f"statemachine-db list --nonsense {closed}", code=2)

    assert "Traceback" not in said
    assert project.state("door") == "closed"
    assert project.jobs("pending") == {"one"}
