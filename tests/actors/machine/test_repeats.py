"""Actions that repeat while their state lasts."""

from __future__ import annotations

from collections.abc import Callable

from statemachine_engine import Machine
from tests.support.until import until


def test_an_action_goes_on_repeating_after_its_event_took_an_internal_transition(start: Callable[..., Machine]) -> None:
    machine = start("""
        initial_state: watching
        context: {looks: []}
        transitions:
          - {from: watching, to: watching, event: looked, internal: true}
        actions:
          watching:
            - {type: add_to_list, list_key: looks, value: 1, every: 0.01, success: looked}
    """)

    until(lambda: len(machine.context["looks"]) >= 3)
    assert machine.state == "watching"
