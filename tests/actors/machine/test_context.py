"""Test the variables with which a context starts, and those that events add."""

from __future__ import annotations

from typing import Any

import pytest

from statemachine_engine.actors.definition.loader import from_dict
from statemachine_engine.actors.definition.model import Definition
from statemachine_engine.actors.definition.reserved_keys import RESERVED
from statemachine_engine.actors.machine.context import admit, first_context
from statemachine_engine.actors.sockets.messages import EventMessage


def machine(**more: Any) -> Definition:
    return from_dict({"initial_state": "idle", "states": ["idle"], "transitions": [], **more}, "m")


def event(type: str = "order", payload: Any = None, **more: Any) -> EventMessage:
    return EventMessage(type, payload, more.get("job_id"), more.get("source"), 12.5)


def test_it_starts_with_the_engine_s_own_keys() -> None:
    context = first_context(machine(), {}, "bob")
    assert context["machine_name"] == "bob"
    assert (context["current_state"], context["previous_state"]) == ("idle", None)
    assert context["config"]["initial_state"] == "idle"
    assert context["event_data"]["event_name"] == "start"


def test_what_is_given_at_the_start_wins_over_the_file() -> None:
    context = first_context(machine(context={"a": 1, "b": 2}), {"b": 3, "c": 4}, "m")
    assert {key: context[key] for key in "abc"} == {"a": 1, "b": 3, "c": 4}


@pytest.mark.parametrize("key", RESERVED)
def test_no_engine_key_is_taken_from_outside(key: str) -> None:
    assert first_context(machine(), {key: "forged"}, "m").get(key) != "forged"


def test_two_machines_of_one_file_do_not_share_their_context() -> None:
    definition = machine(context={"items": []})
    first_context(definition, {}, "a")["items"].append(1)
    assert first_context(definition, {}, "b")["items"] == []


def test_an_event_is_at_hand_as_event_data() -> None:
    context: dict[str, Any] = {}
    admit(machine(), context, event(payload={"a": 1}, job_id="j", source="s"))
    assert context == {
        "event_data": {
            "type": "order", "event_name": "order", "payload": {"a": 1}, "job_id": "j",
            "source": "s", "timestamp": 12.5,
        }
    }  # fmt: skip


def test_a_context_map_copies_from_the_whole_message_what_is_there() -> None:
    paths = {"amount": "payload.items.1.amount", "kind": "type", "job": "job_id", "missing": "payload.x"}
    paths["no"] = "payload.no"
    definition = machine(events={"order": {"context_map": paths}})
    context: dict[str, Any] = {"no": "kept"}
    admit(definition, context, event(payload={"items": [{}, {"amount": 0}], "no": None}, job_id="j"))
    assert {key: context[key] for key in paths if key in context} == {
        "amount": 0, "kind": "order", "job": "j", "no": "kept"
    }  # fmt: skip


@pytest.mark.parametrize("payload", [None, 5, "text", [], {"a": "b"}])
def test_a_context_map_meets_any_payload(payload: Any) -> None:
    definition = machine(events={"order": {"context_map": {"x": "payload.a.b.c"}}})
    context: dict[str, Any] = {}
    admit(definition, context, event(payload=payload))
    assert "x" not in context
