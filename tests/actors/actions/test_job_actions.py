"""The actions that take, finish, list and add jobs."""

from __future__ import annotations

import pytest

from statemachine_engine.actors.errors import ActionError
from statemachine_engine.storage import jobs
from statemachine_engine.storage.errors import JobExists, JobNotFound, LeaseLost
from tests.support.until import until


@pytest.fixture
def add(bench):
    """Adds a job and gives its id back."""

    def add(job_id="j1", job_type="resize", **options):
        return jobs.enqueue(bench.db, job_id, job_type, **options).job_id

    return add


@pytest.fixture
def job(bench):
    """The job of this id as it is stored."""

    def job(job_id="j1"):
        found = jobs.get(bench.db, job_id)
        assert found is not None
        return found

    return job


# check_database_queue


def test_a_job_of_the_queue_is_claimed_and_shown(bench, add, job, published):
    add(data={"width": 800})

    assert bench.run("check_database_queue", job_type="resize") == "new_job"
    assert job().status == "processing"
    assert bench.context["width"] == 800
    assert bench.context["id"] == bench.context["job_id"] == "j1"
    assert until(lambda: published("job_started"))[0]["job_id"] == "j1"


def test_no_type_takes_any_job(bench, add):
    add(job_type="whatever")
    assert bench.run("check_database_queue") == "new_job"


def test_jobs_of_other_types_and_machines_are_left(bench, add):
    add("other", "other")
    add("elsewhere", "resize", machine_type="gpu")

    assert bench.run("check_database_queue", job_type="resize", machine_type="cpu") == "no_jobs"


@pytest.mark.parametrize("data", [None, [], {}, "text", {"current_job": 1}])
def test_any_payload_is_fine(bench, add, job, data):
    add(data=data)
    assert bench.run("check_database_queue") == "new_job"
    assert bench.context["current_job"]["id"] == "j1"


def test_asking_for_the_next_job_completes_the_one_before(bench, add, job):
    add("j1", data={"only_first": 1})
    bench.run("check_database_queue")

    assert bench.run("check_database_queue") == "no_jobs"
    assert job().status == "completed"
    assert not {"current_job", "job_id", "only_first"} & set(bench.context)


def test_events_of_the_queue_check_can_be_named(bench, add):
    assert bench.run("check_database_queue", empty="idle") == "idle"
    add()
    assert bench.run("check_database_queue", success="take") == "take"


def test_a_queue_check_is_a_watch_for_its_kind_of_jobs(bench):
    action = bench.make("check_database_queue", job_type="resize", machine_type=None)

    assert action.watch == "jobs"
    assert action.empty_event() == "no_jobs"
    assert action.watch_key() == ("resize", None)


def test_lease_and_attempts_are_those_of_the_action(bench, add, job):
    add()
    bench.run("check_database_queue", lease="2m", max_attempts="1", backoff="1m")

    held = job()
    assert (held.max_attempts, held.backoff_s) == (1, 60)
    assert held.lease_until is not None
    assert 110 < held.lease_until - bench.db.now() < 121


def test_a_number_that_is_none_is_refused(bench):
    with pytest.raises(ActionError, match="'max_attempts' has to be a whole number, not 'many'"):
        bench.run("check_database_queue", max_attempts="many")
    with pytest.raises(ActionError, match="'backoff': 'soon' is no duration"):
        bench.run("check_database_queue", backoff="soon")


# claim_job


def test_a_job_is_claimed_by_its_id(bench, add, job):
    add(data={"width": 1})

    assert bench.run("claim_job", job_id="j1") == "claimed"
    assert job().status == "processing"
    assert bench.context["current_job"]["id"] == "j1"
    assert bench.context["width"] == 1


def test_lease_and_attempts_can_be_given_with_the_id(bench, add, job):
    add()
    bench.run("claim_job", job_id="j1", lease="1h", max_attempts=7, backoff=0)

    held = job()
    assert (held.max_attempts, held.backoff_s) == (7, 0)
    assert held.lease_until is not None
    assert held.lease_until - bench.db.now() > 3000


def test_a_job_that_another_holds_is_already_claimed(bench, add):
    add()
    jobs.claim(bench.db, owner="another")

    assert bench.run("claim_job", job_id="j1") == "already_claimed"
    assert bench.run("claim_job", job_id="j1", already_claimed="taken") == "taken"
    assert "current_job" not in bench.context


@pytest.mark.parametrize("job_id", [None, "", "{next.job_id}"])
def test_claim_job_wants_an_id(bench, job_id):
    with pytest.raises(ActionError, match="'job_id'"):
        bench.run("claim_job", job_id=job_id)


# complete_job, fail_job, retry_job


def test_the_current_job_is_completed_with_its_result(bench, add, job, published):
    add()
    bench.run("check_database_queue")

    assert bench.run("complete_job", result={"size": 3}) == "success"
    assert (job().status, job().result) == ("completed", {"size": 3})
    assert until(lambda: published("job_completed"))[0]["job_id"] == "j1"


def test_a_completed_job_is_readable_until_the_next_is_asked_for(bench, add):
    add(data={"width": 1})
    bench.run("check_database_queue")
    bench.run("complete_job")
    assert (bench.context["job_id"], bench.context["width"]) == ("j1", 1)

    bench.run("check_database_queue")
    assert "job_id" not in bench.context


def test_another_job_is_completed_by_its_id(bench, add, job):
    add()
    assert bench.run("complete_job", job_id="j1", success="settled") == "settled"
    assert job().status == "completed"


@pytest.mark.parametrize("action_type", ["complete_job", "fail_job", "retry_job"])
@pytest.mark.parametrize("config", [{}, {"job_id": "{job_id}"}])
def test_settling_without_a_job_is_an_error(bench, action_type, config):
    with pytest.raises(ActionError, match="job_id"):
        bench.run(action_type, **config)


def test_an_unknown_job_is_an_error(bench):
    with pytest.raises(JobNotFound, match="nobody"):
        bench.run("complete_job", job_id="nobody")


def test_a_job_whose_lease_was_lost_is_not_completed(bench, add, job):
    add()
    bench.run("check_database_queue")
    jobs.reset_processing(bench.db, older_than_s=None)
    jobs.claim(bench.db, owner="another")

    with pytest.raises(LeaseLost):
        bench.run("complete_job")
    assert job().status == "processing"


def test_the_current_job_fails_for_a_reason(bench, add, job, published):
    add()
    bench.run("check_database_queue")

    assert bench.run("fail_job", reason="too dark") == "success"
    assert (job().status, job().error_message) == ("failed", "too dark")
    assert until(lambda: published("job_failed"))[0]["error_message"] == "too dark"


def test_the_reason_is_the_last_error_unless_said(bench, add, job):
    add()
    bench.run("check_database_queue")
    bench.context["last_error"] = "Command failed (exit 2): no"
    bench.run("fail_job")

    assert job().error_message == "Command failed (exit 2): no"


def test_a_job_is_given_back_for_another_attempt(bench, add, job):
    add()
    bench.run("check_database_queue")

    assert bench.run("retry_job", delay="1h", reason="busy") == "success"
    assert job().status == "scheduled"
    assert "current_job" not in bench.context


@pytest.mark.parametrize(("config", "status"), [({}, "scheduled"), ({"delay": 0}, "pending")])
def test_a_job_that_is_given_back_again_waits_unless_said(bench, add, job, config, status):
    add(backoff_s=600)
    for expected in ("pending", status):
        bench.run("check_database_queue")
        bench.run("retry_job", reason="busy", **config)
        assert (job().status, job().error_message) == (expected, "busy")


def test_a_job_whose_attempts_are_spent_fails(bench, add, job):
    add(max_attempts=1)
    bench.run("check_database_queue")

    assert bench.run("retry_job") == "attempts_spent"
    assert job().status == "failed"


# enqueue_job, get_pending_jobs


def test_a_job_is_added_and_its_id_stored(bench, job):
    assert bench.run("enqueue_job", job_type="resize", data={"a": 1}, priority="2") == "job_enqueued"

    added = job(bench.context["enqueued_job_id"])
    assert (added.job_type, added.data, added.priority, added.status) == ("resize", {"a": 1}, 2, "pending")


def test_every_option_of_a_job_can_be_given(bench, job):
    bench.run(
        "enqueue_job", job_type="resize", job_id="mine", payload=[1], machine_type="gpu", delay="1m", max_attempts=5,
        time_limit="1m30s", backoff="5m", unique_key="k", source_job_id="parent", metadata={"by": "me"},
        store_as="spawned", success="added",
    )  # fmt: skip

    added = job("mine")
    assert bench.context["spawned"] == "mine"
    assert added.status == "scheduled"
    assert (added.machine_type, added.data, added.max_attempts, added.unique_key) == ("gpu", [1], 5, "k")
    assert (added.time_limit_s, added.backoff_s) == (90, 300)
    assert (added.source_job_id, added.metadata) == ("parent", {"by": "me"})


def test_an_added_job_comes_from_the_current_one(bench, add, job):
    add()
    bench.run("check_database_queue")
    bench.run("enqueue_job", job_type="next", job_id="child")

    assert job("child").source_job_id == "j1"


def test_an_id_that_is_taken_is_an_error(bench, add):
    add()
    with pytest.raises(JobExists):
        bench.run("enqueue_job", job_type="resize", job_id="j1")


def test_waiting_jobs_are_listed_in_the_order_of_their_claim(bench, add, job):
    add("later")
    add("first", priority=1, data={"a": 1})
    add("other", "other")

    assert bench.run("get_pending_jobs", job_type="resize") == "jobs_found"
    listed = bench.context["pending_jobs"]
    assert [(item["id"], item["job_id"]) for item in listed] == [("first", "first"), ("later", "later")]
    assert listed[0]["data"] == {"a": 1}
    assert job("first").status == "pending"


def test_the_list_can_be_limited_and_named(bench, add):
    add("a")
    add("b")
    bench.run("get_pending_jobs", limit=1, store_as="todo")

    assert len(bench.context["todo"]) == 1


def test_no_waiting_jobs_are_an_empty_list(bench):
    assert bench.run("get_pending_jobs") == "no_jobs"
    assert bench.context["pending_jobs"] == []
    assert bench.make("get_pending_jobs", empty="none", job_type="a").empty_event() == "none"
    assert bench.make("get_pending_jobs", job_type="a").watch_key() == ("a", None)
