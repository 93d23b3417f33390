"""The job in the context: put there once, taken away at its end, never over the engine's keys."""

from __future__ import annotations

from typing import Any

import pytest

from statemachine_engine.actors.definition.reserved_keys import RESERVED
from statemachine_engine.actors.jobs.job_context import current_job_id, merge, put_job, remove_job
from statemachine_engine.storage import jobs
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.jobs import Job


@pytest.fixture
def job():
    """Makes claimed jobs with the given data."""
    with Database.open("sqlite:///:memory:") as db:

        def make(data: Any, job_id: str = "j1", **fields: Any) -> Job:
            jobs.enqueue(db, job_id, "resize", data=data, **fields)
            claimed = jobs.claim(db, owner="me")
            assert claimed is not None
            return claimed

        yield make


def test_a_held_job_shows_its_identity_and_its_datas_keys(job):
    context: dict[str, Any] = {}
    put_job(context, job({"width": 800}, source_job_id="parent", priority=2))

    assert context["id"] == context["job_id"] == "j1"
    assert context["job_type"] == "resize"
    assert context["source_job_id"] == "parent"
    assert context["width"] == 800
    assert context["current_job"] == {
        "id": "j1",
        "job_id": "j1",
        "job_type": "resize",
        "source_job_id": "parent",
        "data": {"width": 800},
        "priority": 2,
        "attempt": 1,
    }


@pytest.mark.parametrize("data", [[1, 2], "text", 7, False])
def test_data_that_is_no_object_stands_under_payload(job, data):
    context: dict[str, Any] = {}
    put_job(context, job(data))

    assert context["payload"] == data
    assert context["current_job"]["data"] == {"payload": data}


def test_a_job_without_data_is_fine(job):
    context: dict[str, Any] = {}
    put_job(context, job(None))

    assert context["current_job"]["data"] == {}


@pytest.mark.parametrize("key", RESERVED)
def test_data_never_overwrites_the_engines_keys(job, key):
    context: dict[str, Any] = {"machine_name": "m"}
    put_job(context, job({key: "theirs", "id": "theirs"}))

    assert context.get(key) != "theirs"
    assert context["id"] == "j1"
    assert context["current_job"]["data"][key] == "theirs"


def test_the_next_job_sees_nothing_of_the_one_before(job):
    context: dict[str, Any] = {}
    put_job(context, job({"only_first": 1, "both": 1}))
    put_job(context, job({"both": 2}, "j2"))

    assert "only_first" not in context
    assert context["both"] == 2
    assert context["job_id"] == "j2"


def test_what_a_job_covered_comes_to_light_again(job):
    context: dict[str, Any] = {"quality": 80, "other": None}
    put_job(context, job({"quality": 95, "other": 1}))
    assert context["quality"] == 95

    remove_job(context)
    assert context == {"quality": 80, "other": None}


def test_values_that_actions_wrote_meanwhile_stay(job):
    context: dict[str, Any] = {}
    put_job(context, job({"width": 800}))
    context["result"] = "ok"

    remove_job(context)
    assert context == {"result": "ok"}


def test_drop_without_a_job_does_nothing():
    context: dict[str, Any] = {"a": 1}
    remove_job(context)
    assert context == {"a": 1}


def test_a_listed_row_can_be_held_too(job):
    context: dict[str, Any] = {}
    put_job(context, {**job({"width": 1}).as_dict(), "id": "j1"})

    assert (context["job_id"], context["width"]) == ("j1", 1)


def test_merge_leaves_reserved_names_out():
    context: dict[str, Any] = {"machine_name": "m"}
    merge(context, {"machine_name": "evil", "_job_keys": {}, "good": 1})

    assert context == {"machine_name": "m", "good": 1}


def test_the_current_jobs_id_is_found_in_either_shape():
    assert current_job_id({"current_job": {"id": "a"}}) == "a"
    assert current_job_id({"current_job": {"id": 7, "job_id": "b"}}) == "b"
    assert current_job_id({"job_id": "c"}) == "c"
    assert current_job_id({}) is None
