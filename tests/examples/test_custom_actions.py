"""examples/custom_actions: an async and a plain action of the user's own."""

from __future__ import annotations

from tests.support.project import Project


def test_its_readme_runs(project: Project, readme: list[str]) -> None:
    start, jobs = readme
    project.start(start)
    project.shell(jobs)

    project.until_jobs("completed", "sample")
    project.until_jobs("failed", "gone")
    assert project.job("sample")["result"] == {"words": 25, "longest": ["transition", "actions", "entered"]}
    assert "No such file" in project.job("gone")["error_message"]
    assert "sample.txt: 25 words" in project.log()


def test_an_edited_action_is_used_for_the_next_job(project: Project) -> None:
    project.start("statemachine config/reader.yaml --actions-dir actions")
    project.shell("statemachine-db add-job before --type count_words --input-file sample.txt")
    project.until_jobs("completed", "before")

    action = project.folder / "actions" / "word_count_action.py"
    action.write_text(action.read_text().replace("len(words)", "-len(words)"))
    project.shell("statemachine-db add-job after --type count_words --input-file sample.txt")
    project.until_jobs("completed", "after")

    assert project.job("before")["result"]["words"] == 25
    assert project.job("after")["result"]["words"] == -25
