"""Sending events, looking for them, taking them away."""

from __future__ import annotations

import pytest

from statemachine_engine.actors.errors import ActionError
from statemachine_engine.storage import jobs, mailbox


@pytest.fixture
def received(bench):
    """The events in a machine's mailbox, as (type, payload, job id, source)."""

    def received(target="other"):
        events = mailbox.unread(bench.db, target)
        return [(event.type, event.payload, event.job_id, event.source) for event in events]

    return received


@pytest.fixture
def status(bench):
    """The status of each event of a machine, oldest first."""
    return lambda target="tester": [row.status for row in mailbox.list_(bench.db, target=target)][::-1]


# send_event


@pytest.mark.parametrize("key", ["target_machine", "target"])
def test_an_event_is_stored_for_its_target(bench, received, key):
    assert bench.run("send_event", **{key: "other"}, event_type="go", payload={"n": 1}) == "event_sent"
    assert received() == [("go", {"n": 1}, None, "tester")]


@pytest.mark.parametrize("payload", [{"n": 1, "deep": [True, None]}, [1], "text", 0, False])
def test_a_payload_keeps_its_type(bench, received, payload):
    bench.run("send_event", target_machine="other", payload=payload)
    assert received()[0][1] == payload


@pytest.mark.parametrize("payload", [None, "{event_data.payload}"])
def test_nothing_to_forward_is_an_empty_payload(bench, received, payload):
    bench.run("send_event", target_machine="other", payload=payload)
    assert received() == [("generic_event", {}, None, "tester")]


def test_the_event_is_about_the_current_job_unless_said(bench, received):
    jobs.enqueue(bench.db, "j1", "work")
    bench.run("check_database_queue")
    bench.run("send_event", target_machine="other")
    bench.run("send_event", target_machine="other", job_id="j2")

    assert [job_id for _, _, job_id, _ in received()] == ["j1", "j2"]


def test_fire_and_forget_yields_nothing(bench, received):
    assert bench.run("send_event", target_machine="other", fire_and_forget="true") is None
    assert len(received()) == 1


def test_success_names_the_event_afterwards(bench):
    assert bench.run("send_event", target_machine="other", success="relayed") == "relayed"


@pytest.mark.parametrize("config", [{}, {"target": "{event_data.source}"}, {"target_machine": "{owner}"}])
def test_there_must_be_a_target(bench, config):
    with pytest.raises(ActionError, match="'target"):
        bench.run("send_event", **config)


def test_a_pattern_that_matches_no_machine_is_logged_as_a_warning(bench, caplog):
    assert bench.run("send_event", target_machine="worker_*") == "event_sent"
    assert "no machine matches 'worker_*'" in caplog.text


def test_the_monitor_is_a_target_too(bench):
    config = {"target_machine": "ui", "event_type": "activity_log", "payload": {"message": "m"}}
    assert bench.run("send_event", **config) == "event_sent"


# check_events


def test_events_in_another_machines_mailbox_are_found_and_left(bench, received):
    mailbox.post(bench.db, "other", "go", {"n": 1}, source="me")

    assert bench.run("check_events", target_machine="other", event_types="go") == "events_found"
    assert bench.context["found_events"] == [{"type": "go", "payload": {"n": 1}, "job_id": None, "source": "me"}]
    assert len(received()) == 1


def test_events_of_other_types_do_not_count(bench):
    mailbox.post(bench.db, "other", "stop")
    assert bench.run("check_events", target_machine="other", event_types=["go", "come"]) == "no_events"


def test_the_machines_own_events_come_by_themselves(bench):
    mailbox.post(bench.db, "tester", "go")

    assert bench.run("check_events") is None
    assert bench.run("check_events", success="mail") == "mail"


def test_no_events_are_an_event(bench):
    assert bench.run("check_events", event_types=["go"]) == "no_events"
    action = bench.make("check_events", empty="nothing", target_machine="other")
    assert (action.watch, action.empty_event(), action.watch_key()) == ("events", "nothing", ("other",))


# clear_events


def test_waiting_events_are_ignored(bench, status):
    mailbox.post(bench.db, "tester", "go")
    mailbox.post(bench.db, "tester", "stay")

    assert bench.run("clear_events", event_types="go") == "events_cleared"
    assert status() == ["ignored", "pending"]
    assert bench.run("clear_events", event_types=["go"]) == "no_events_to_clear"


def test_another_machines_mailbox_can_be_cleared(bench, status):
    mailbox.post(bench.db, "other", "go")
    mailbox.post(bench.db, "tester", "go")
    bench.run("clear_events", target_machine="other")

    assert status("other") == ["ignored"]
    assert status("tester") == ["pending"]


def test_success_replaces_both_events_of_clearing(bench):
    assert bench.run("clear_events", success="clean") == "clean"
