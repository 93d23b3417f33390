"""A real cron daemon runs the line that `statemachine-db crontab` printed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.support.crond import cron_daemon
from tests.support.project import Project
from tests.support.until import until

WORKER = """
initial_state: waiting
transitions:
  - {from: waiting, to: working, event: new_job}
  - {from: working, to: waiting, event: job_done}
actions:
  waiting: [{type: check_database_queue, job_type: nightly}]
  working: [{type: bash, command: "echo {text} >> trace"}]
"""

TEXT = '100% of "it\'s" $HOME `here`; ä'


@pytest.mark.timeout(200)
def test_a_job_that_cron_adds_is_processed(tmp_path: Path) -> None:
    folder = tmp_path / "it's 100% mine"
    folder.mkdir()
    project = Project(folder)
    try:
        (folder / "worker.yaml").write_text(WORKER)
        payload = shlex.quote(json.dumps({"text": TEXT}))
        line = project.shell(
            f"statemachine-db crontab --user root '* * * * *' add-job 'nightly-{{datetime}}' --type nightly "
            f"--if-absent --payload {payload}"
        )
        assert line.count("\n") == 1
        project.start("statemachine worker.yaml")
        project.until_state("worker", "waiting")

        with cron_daemon(tmp_path, line.strip()) as said:
            until(lambda: project.jobs("completed") or said.read_text(), timeout_s=130)
            assert said.read_text() == ""

        (job_id,) = project.jobs("completed")
        assert job_id.startswith("nightly-20")
        assert project.job(job_id)["data"] == {"text": TEXT}
        assert (folder / "trace").read_text() == f"{TEXT}\n"
        assert f"Job ID: {job_id}" in (folder / "logs" / "cron.log").read_text()
    finally:
        project.close()
