"""examples/controller_worker: the worker reports each job to the controller."""

from __future__ import annotations

from tests.support.project import Project


def test_run_sh_ends_when_the_controller_has_heard_of_three_jobs(project: Project, readme: list[str]) -> None:
    said = project.shell(readme[0], timeout_s=90)

    completed = project.jobs("completed", "demo")
    assert len(completed) == 3
    assert all(f"Job {job_id} completed" in said for job_id in completed)
    assert "All 3 jobs are finished" in said


def test_two_terminals_and_a_failing_job(project: Project, readme: list[str]) -> None:
    _, controller, worker, commands = readme
    machines = [project.start(controller), project.start(worker)]
    adding, stopping = commands.split("statemachine-db list --type demo\n")

    project.shell(adding)
    project.shell('statemachine-db add-job job_003 --type demo --payload \'{"seconds": "soon"}\'')
    project.until_logged("Job job_002 completed")
    project.until_logged("Job job_003 failed")
    project.until_jobs("completed", "job_001", "job_002")
    assert "invalid time interval" in project.job("job_003")["error_message"]

    project.shell(stopping)
    assert [machine.wait(20) for machine in machines] == [0, 0]


def test_a_controller_that_was_down_hears_of_the_jobs_when_it_starts(project: Project) -> None:
    project.start("statemachine config/worker.yaml --machine-name worker")
    project.shell("statemachine-db add-job a --type demo; statemachine-db add-job b --type demo")
    project.until_jobs("completed", "a", "b")

    said = project.shell("statemachine config/controller.yaml --machine-name controller --context expected=2")
    assert said.index("Job a completed") < said.index("Job b completed")


def test_both_machines_share_a_process(project: Project) -> None:
    project.shell("for n in 1 2 3; do statemachine-db add-job job_$n --type demo; done")
    project.start("statemachine config/controller.yaml config/worker.yaml --context expected=3")

    project.until_logged("All 3 jobs are finished: job_1,job_2,job_3")
