"""set_context, add_to_list and pop_from_list change the context, the engine's own keys excepted."""

from __future__ import annotations

import pytest

from statemachine_engine.actors.errors import ActionError


@pytest.mark.parametrize("value", [1, "a", None, [1], {"a": 1}, False])
def test_set_context_keeps_the_type(bench, value):
    assert bench.run("set_context", key="answer", value=value) == "success"
    assert bench.context["answer"] == value


def test_set_context_wants_both_keys(bench):
    with pytest.raises(ActionError, match="'key' is required"):
        bench.run("set_context", value=1)
    with pytest.raises(ActionError, match="'value' is required"):
        bench.run("set_context", key="a")


@pytest.mark.parametrize(
    ("action_type", "config"),
    [
        ("set_context", {"key": "machine_name", "value": 1}),
        ("add_to_list", {"list_key": "event_data", "value": 1}),
        ("pop_from_list", {"list_key": "items", "store_as": "config"}),
    ],
)
def test_the_engines_keys_are_refused(bench, action_type, config):
    bench.context["items"] = [1]
    with pytest.raises(ActionError, match="is reserved for the engine"):
        bench.run(action_type, **config)
    assert bench.context["machine_name"] == "tester"


def test_add_to_list_makes_the_list_and_appends(bench):
    assert bench.run("add_to_list", list_key="found", value=1) == "success"
    assert bench.run("add_to_list", list_key="found", value=None, success="added") == "added"
    assert bench.context["found"] == [1, None]


def test_add_to_list_leaves_the_same_list_elsewhere_alone(bench):
    resources = [1]
    bench.context.update(items=resources, copy=resources)
    bench.run("add_to_list", value=2)

    assert bench.context["items"] == [1, 2]
    assert bench.context["copy"] == [1]


def test_add_to_list_refuses_what_is_no_list(bench):
    bench.context["items"] = "text"
    with pytest.raises(ActionError, match="'items' is no list but str"):
        bench.run("add_to_list", value=1)


def test_add_to_list_wants_a_value(bench):
    with pytest.raises(ActionError, match="'value' is required"):
        bench.run("add_to_list")


def test_pop_from_list_takes_the_first(bench):
    bench.context["queue"] = ["a", "b"]

    assert bench.run("pop_from_list", list_key="queue", store_as="next") == "item_popped"
    assert bench.context["next"] == "a"
    assert bench.context["queue"] == ["b"]


@pytest.mark.parametrize("items", [[], None, "text", {"a": 1}])
def test_pop_from_list_yields_list_empty_where_there_is_nothing(bench, items):
    bench.context["items"] = items
    assert bench.run("pop_from_list") == "list_empty"
    assert bench.run("pop_from_list", empty="all_done") == "all_done"


def test_popping_a_job_makes_it_the_job_in_the_context(bench):
    bench.services.jobs.enqueue("j1", "resize", data={"width": 3})
    bench.run("get_pending_jobs", store_as="items")
    bench.run("pop_from_list", store_as="current_job")

    assert bench.context["current_job"]["data"] == {"width": 3}
    assert (bench.context["job_id"], bench.context["width"]) == ("j1", 3)
