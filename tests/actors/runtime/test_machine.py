"""A machine as its user holds it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from statemachine_engine import Machine, Runtime
from statemachine_engine.actors.runtime import machine
from statemachine_engine.actors.runtime.machine import INBOX_HIGH, WaitTimeout
from statemachine_engine.actors.sockets.messages import EventMessage
from statemachine_engine.storage import mailbox
from tests.support.until import until

Start = Callable[..., Machine]

LAMP = """
    initial_state: "off"
    states: ["off", "on", stopped]
    transitions:
      - {from: "off", event: press, to: "on"}
      - {from: "on", event: press, to: "off"}
      - {from: "*", event: stop, to: stopped}
"""


def test_it_takes_events_and_shows_where_it_is(start: Start) -> None:
    lamp = start(LAMP, "lamp", colour="red")
    assert lamp.send("press") > 0
    lamp.wait_for("on", 30)
    assert (lamp.name, lamp.state, lamp.status, lamp.outcome) == ("lamp", "on", "running", None)
    assert lamp.context["colour"] == "red"


def test_its_end_is_waited_for(start: Start) -> None:
    lamp = start(LAMP)
    lamp.send("stop")
    assert lamp.wait(30) == "success"
    assert lamp.status == "ended"


def test_waiting_in_vain_says_where_it_is_instead(start: Start) -> None:
    lamp = start(LAMP)
    with pytest.raises(WaitTimeout, match=r"m is in state off, not on, after 0\.01 s"):
        lamp.wait_for("on", 0.01)
    with pytest.raises(WaitTimeout, match=r"m has not ended after 0\.01 s; it is in state off"):
        lamp.wait(0.01)


def test_waiting_without_a_limit_ends_with_the_machine(start: Start) -> None:
    lamp = start(LAMP)
    lamp.send("stop")
    with pytest.raises(WaitTimeout, match="m is in state stopped, not on, after its end"):
        lamp.wait_for("on")


def test_coroutines_may_use_it(start: Start) -> None:
    lamp = start(LAMP)

    async def use() -> object:
        await lamp.send_async("press", {"a": 1}, job_id="j")
        await lamp.wait_for_async("on", 5)
        await lamp.send_async("stop")
        return await lamp.wait_async(5)

    assert asyncio.run(use()) == "success"
    assert lamp.context["event_data"]["event_name"] == "stop"


def test_an_event_for_one_that_has_ended_stays_in_its_mailbox(start: Start, runtime: Runtime) -> None:
    lamp = start(LAMP)
    lamp.stop(drain=False)
    lamp.wait(30)
    number = lamp.send("press")
    assert [event.id for event in mailbox.unread(runtime.db, "m")] == [number]


def test_the_context_is_a_copy_without_private_keys(start: Start) -> None:
    lamp = start(LAMP, _secret=1)
    lamp.context["machine_name"] = "changed"
    assert lamp.context["machine_name"] == "m"
    assert "_secret" not in lamp.context


def test_stop_may_be_asked_for_twice_and_after_the_end(start: Start) -> None:
    lamp = start(LAMP)
    lamp.stop()
    lamp.stop()
    assert lamp.wait(30) is None
    lamp.stop(drain=False)


def test_a_full_inbox_holds_the_deliverer_back_but_not_for_ever(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "HOLD_S", 0.01)
    lamp = start(LAMP)
    lamp.attach(lamp._ref, lambda: INBOX_HIGH + 1)  # type: ignore[arg-type]  # as if the actor were stuck
    thread = threading.Thread(target=lamp.deliver, args=(EventMessage("press", {}, None, None, 0.0),))
    thread.start()
    lamp.wait_for("on", 30)
    thread.join(30)
    assert lamp.dependencies.gate.is_set()


def test_a_flood_from_a_socket_is_held_back_and_arrives_whole(start: Start) -> None:
    lamp = start(LAMP)
    for _ in range(5 * INBOX_HIGH + 1):
        lamp.deliver(EventMessage("press", {}, None, None, 0.0))
    lamp.deliver(EventMessage("done", {}, None, None, 0.0))
    until(lambda: lamp.live.unhandled == 1, 30)
    assert lamp.state == "on"
