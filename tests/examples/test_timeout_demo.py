"""examples/timeout_demo: a slow call is cut off, a person is asked, the machine gives up."""

from __future__ import annotations

import subprocess

from tests.support.project import Project


def test_left_alone_it_gives_up_and_exits_with_1(project: Project, readme: list[str]) -> None:
    said = project.shell(f"set +e\n{readme[0]}")

    assert "exit code 1" in said
    assert "Nobody answered" in said
    history = project.json("statemachine-db transition-history --machine patience")
    assert [row["event"] for row in history] == ["timeout(5s)", "timeout(1)"]


def test_an_answer_in_time_ends_it_with_0(project: Project, readme: list[str]) -> None:
    machine = project.start("statemachine config/patience.yaml --context call_s=61.5")
    project.until_logged("Send me an answer")
    assert not running("sleep 61.5")
    project.shell(readme[1])

    assert machine.wait(20) == 0
    assert "Answered: forty-two" in project.log()


def test_a_quick_call_ends_by_itself(project: Project, readme: list[str]) -> None:
    assert "Answered: none" in project.shell(readme[2])
    assert "call_done" in project.shell(readme[3])


def running(command: str) -> bool:
    return subprocess.run(["pgrep", "-fx", command], stdout=subprocess.DEVNULL, check=False).returncode == 0
