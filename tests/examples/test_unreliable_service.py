"""examples/unreliable_service: tried again while the service is busy, with a key that does not show."""

from __future__ import annotations

from tests.support.project import Project


def test_its_readme_runs(project: Project, readme: list[str]) -> None:
    start, add, look = readme
    project.start(start.replace("API_KEY", "env API_KEY", 1))
    project.shell(add)
    project.until_jobs("completed", "monday")

    assert project.job("monday")["result"] == {"report": "monday", "rows": 42}
    told = project.shell(look)
    assert told.count("try 2 of 5") == told.count("try 3 of 5") == 1
    assert "open-sesame" not in told + project.log()


def test_a_wrong_key_fails_at_once_and_does_not_show(project: Project, readme: list[str]) -> None:
    project.start("env API_KEY=hunter2-hunter2 statemachine config/reporter.yaml")
    project.shell(readme[1])
    project.until_jobs("failed", "monday")

    assert "the key *** is not known here" in project.job("monday")["error_message"]
    assert "hunter2" not in project.log() + project.shell("statemachine-events --no-follow --format json")
