"""examples/batch_controller: a machine for each job, and one that waits for them all."""

from __future__ import annotations

from tests.support.project import Project


def test_its_readme_completes_twenty_of_twenty(project: Project, readme: list[str]) -> None:
    batch, look = readme
    said = project.shell(batch, timeout_s=110)

    assert "20 of 20 jobs completed, 0 failed" in said
    assert len(project.jobs("completed", "batch")) == 20
    assert project.job("batch_7")["result"] == {"characters": len("item number 7")}
    project.shell(look)


def test_a_job_that_fails_is_counted_as_failed(project: Project) -> None:
    project.shell('statemachine-db add-job good --type batch --payload \'{"text": "four"}\'')
    worker = project.folder / "config" / "worker.yaml"
    worker.write_text(worker.read_text().replace("printf %s {text} | wc -c", "test {text} = four && echo 4"))
    project.shell('statemachine-db add-job bad --type batch --payload \'{"text": "five"}\'')

    assert "1 of 2 jobs completed, 1 failed" in project.shell("statemachine config/controller.yaml", code=1)
    assert project.jobs("failed") == {"bad"}


def test_with_nothing_to_do_it_says_so_by_its_state(project: Project) -> None:
    project.shell("statemachine config/controller.yaml")
    assert project.state("batch_controller") == "nothing_to_do"
