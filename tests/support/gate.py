"""A custom action that a test blocks and unblocks."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Gate:
    """Events shared with the custom action `gate`."""

    entered: threading.Event
    opened: threading.Event
    left: threading.Event


def gate_in(action: Callable[[str, str], None]) -> type[Gate]:
    """Write the custom action `gate`, which waits until it is opened."""
    Gate.entered, Gate.opened, Gate.left = threading.Event(), threading.Event(), threading.Event()
    threading._test_gate = Gate  # type: ignore[attr-defined]
    action(
        "gate",
        """
        import threading
        from statemachine_engine.actions import BaseAction
        gate = threading._test_gate
        class GateAction(BaseAction):
            def execute(self, context):
                gate.entered.set()
                gate.opened.wait(30)
                context["from_gate"] = True
                gate.left.set()
                return self.config.get("success")
    """,
    )
    return Gate
