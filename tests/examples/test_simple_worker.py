"""examples/simple_worker: jobs from the queue, events by hand."""

from __future__ import annotations

import signal

from tests.support.project import Project
from tests.support.until import until


def test_the_commands_of_its_readme_work_in_their_order(project: Project, readme: list[str]) -> None:
    first_terminal, second_terminal = readme
    worker = project.start(first_terminal)
    by_queue, by_hand, stopping = second_terminal.split("\n\n")

    project.shell(by_queue)
    project.until_logged("Processing job job_001 my first job")
    project.until_jobs("completed", "job_001")
    project.shell(by_hand)
    project.until_logged("Processing job by-hand -")
    project.shell(stopping)
    project.until_state("simple_worker", "completed")

    assert project.interrupt(worker) == 130


def test_it_behaves_as_the_seed_describes(project: Project) -> None:
    project.start("statemachine config/worker.yaml")
    project.until_state("simple_worker", "waiting")

    project.shell("statemachine-db send-event --target simple_worker --type new_job")
    project.until_state("simple_worker", "completed")
    project.shell("statemachine-db send-event --target simple_worker --type new_job")
    project.until_logged("Processing job", count=2)
    project.until_state("simple_worker", "completed")
    project.shell("statemachine-db send-event --target simple_worker --type stop")

    path = [
        ("initializing", "waiting", "initialized"),
        ("waiting", "processing", "new_job"),
        ("processing", "completed", "job_done"),
        ("completed", "waiting", "new_job"),
        ("waiting", "processing", "new_job"),
        ("processing", "completed", "job_done"),
        ("completed", "completed", "stop"),
    ]
    until(lambda: len(moves(project)) == len(path))
    assert moves(project) == path


def test_jobs_one_after_another_are_all_completed(project: Project) -> None:
    project.start("statemachine config/worker.yaml")
    ids = [f"job_{number}" for number in range(5)]
    for job_id in ids:
        project.shell(f"statemachine-db add-job {job_id} --type simple")

    project.until_jobs("completed", *ids)
    assert "unhandled" not in project.log().lower()


def test_after_stop_it_takes_no_job_until_it_is_started_again(project: Project) -> None:
    project.start("statemachine config/worker.yaml")
    project.until_state("simple_worker", "waiting")
    project.shell("statemachine-db send-event --target simple_worker --type stop")
    project.until_state("simple_worker", "completed")

    project.shell("statemachine-db add-job later --type simple")
    assert project.jobs("pending") == {"later"}


def test_jobs_sent_while_it_is_down_are_done_when_it_starts(project: Project) -> None:
    project.shell('statemachine-db add-job early --type simple --payload \'{"note": "$(reboot)"}\'')
    worker = project.start("statemachine config/worker.yaml --machine-name worker")
    project.until_logged("Processing job early $(reboot)")
    project.until_jobs("completed", "early")

    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0


def moves(project: Project) -> list[tuple[str, str, str]]:
    """Return the transitions as (from, to, event), oldest first."""
    history = project.json("statemachine-db transition-history --machine simple_worker")
    return [(row["from_state"], row["to_state"], row["event"]) for row in reversed(history)]
