"""Nobody reads what a process prints any more."""

from __future__ import annotations

import signal
import subprocess

from tests.support.project import Project


def test_a_machine_whose_log_nobody_reads_any_more_goes_on_and_ends_in_order(project: Project) -> None:
    process = subprocess.Popen(
        ["bash", "-c", "exec statemachine lamp.yaml"],
        cwd=project.folder,
        env=project.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    assert b"lamp: running" in process.stdout.readline()
    process.stdout.close()

    for _ in range(3):
        project.shell("statemachine-db send-event --target lamp --type nonsense")  # each is a line of the log
    project.shell("statemachine-db send-event --target lamp --type switch")
    project.until_state("lamp", "lit")

    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_a_listing_whose_reader_has_enough_ends_quietly(project: Project) -> None:
    project.shell('for n in $(seq 3000); do echo \'{"job_type": "t"}\'; done | statemachine-db add-jobs -')

    said = project.shell("set +o pipefail; statemachine-db export 2>errors | head -1; cat errors")

    assert len(said.splitlines()) == 1
    assert "t" in said
