"""Processes that are killed with what they run."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys

from statemachine_engine.actors.processes.procfs import has_live_member, kill
from tests.support.processes import alive
from tests.support.until import until

SPARED = ("/bin/sh", "-c", "sleep 600; :")

PARENT = """
import json, subprocess, sys, time

def start(*argv, own_session=True):
    return subprocess.Popen(argv, start_new_session=own_session, stdin=subprocess.DEVNULL).pid

spared = json.loads(sys.argv[1])
print(start("/bin/sh", "-c", "sleep 600 & wait"), start("sleep", "600", own_session=False), start(*spared), flush=True)
time.sleep(600)
"""


def test_a_process_that_hangs_is_killed_with_its_commands_but_not_with_what_is_spared() -> None:
    command = [sys.executable, "-c", PARENT, json.dumps(SPARED)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as parent:
        assert parent.stdout is not None
        command_pid, beside_pid, spared_pid = map(int, parent.stdout.readline().split())
        parent.send_signal(signal.SIGSTOP)

        kill(parent.pid, spared=SPARED)

        assert parent.wait(20) == -signal.SIGKILL
    until(lambda: not has_live_member(command_pid))
    until(lambda: not alive(beside_pid))
    assert alive(spared_pid)
    os.killpg(spared_pid, signal.SIGKILL)
    kill(parent.pid, spared=SPARED)  # nobody is there any more


def test_a_process_that_hangs_is_killed_though_no_descriptor_is_left_to_look_for_its_commands() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            kill(process.pid, spared=SPARED)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

        assert process.wait(20) == -signal.SIGKILL
