"""Machines started by a machine, in this runtime or in a process of their own."""

from __future__ import annotations

import pytest

from statemachine_engine.actors.errors import ActionError, ConfigError

CONTROLLER = {
    "initial_state": "starting",
    "transitions": [{"from": "starting", "to": "started", "event": "success"}],
}
CHILD = """
initial_state: waiting
transitions:
  - {from: waiting, to: stopped, event: stop}
"""


@pytest.fixture
def child_file(tmp_path):
    path = tmp_path / "child.yaml"
    path.write_text(CHILD)
    return path


@pytest.fixture
def parent(runtime, bench):
    """The machine in whose name the bench's actions run."""
    return runtime.add(CONTROLLER, "tester")


def test_a_machine_starts_in_this_runtime(bench, runtime, parent, child_file):
    assert bench.run("start_fsm", yaml_path=str(child_file), machine_name="child") == "success"
    assert runtime.machine("child").status != "ended"


def test_it_gets_the_parts_of_the_context_that_are_named(bench, runtime, parent, child_file, caplog):
    bench.context.update(report="r1", job={"data": {"width": 8}}, secret="s")
    bench.run(
        "start_fsm",
        yaml_path=str(child_file),
        machine_name="child",
        context_vars=["report", "job.data.width", "job.data as all", "no.such"],
    )

    context = runtime.machine("child").context
    assert (context["report"], context["width"], context["all"]) == ("r1", 8, {"width": 8})
    assert "secret" not in context
    assert "there is no 'no.such'" in caplog.text


def test_its_name_is_stored_where_it_is_a_thread(bench, parent, child_file):
    bench.run("start_fsm", yaml_path=str(child_file), machine_name="one", store_pid=True)
    bench.run("start_fsm", yaml_path=str(child_file), machine_name="two", store_pid="yes")

    assert bench.context["spawned_pids"] == ["one", "two"]


@pytest.mark.parametrize("missing", ["yaml_path", "machine_name"])
def test_file_and_name_are_required(bench, child_file, missing):
    config = {"yaml_path": str(child_file), "machine_name": "child"}
    del config[missing]

    with pytest.raises(ActionError, match=f"'{missing}' is required"):
        bench.run("start_fsm", **config)


def test_an_unknown_isolation_is_refused(bench, child_file):
    with pytest.raises(ActionError, match="thread or process, not 'container'"):
        bench.run("start_fsm", yaml_path=str(child_file), machine_name="child", isolation="container")


def test_a_file_that_is_wrong_is_an_error(bench, parent, tmp_path):
    with pytest.raises(ConfigError):
        bench.run("start_fsm", yaml_path=str(tmp_path / "none.yaml"), machine_name="child")


def test_additional_arguments_are_a_list_or_a_line(bench):
    make = lambda args: bench.make("start_fsm", additional_args=args)._additional_args()  # noqa: E731

    assert make(["--debug", 3]) == ("--debug", "3")
    assert make("--debug --initial-context '{\"a\": 1}'") == ("--debug", "--initial-context", '{"a": 1}')
    assert make(None) == ()
