"""More events, and larger ones, than anybody should send."""

from __future__ import annotations

import gc
import json
import socket
import threading
import time
from pathlib import Path

import pytest
import yaml

from statemachine_engine import Runtime
from statemachine_engine.storage import mailbox
from statemachine_engine.storage.errors import PayloadTooLarge
from tests.degrading.conftest import House
from tests.support.metrics import numbers
from tests.support.until import until

COUNTER = """
initial_state: busy
transitions:
  - {from: busy, to: counting, event: job_done}
  - {from: counting, to: counting, event: n}
actions:
  busy: [{type: bash, command: "while [ ! -e go ]; do sleep 0.05; done", cwd: FOLDER}]
  counting: [{type: note}]
"""

NOTE = """
import threading
from statemachine_engine.actions import BaseAction

class NoteAction(BaseAction):
    def execute(self, context):
        if context.get("event_data"):
            threading._test_noted.append(context["event_data"]["payload"]["n"])
"""

QUOTES = 2
LARGEST = mailbox.MAX_PAYLOAD_BYTES - QUOTES


def test_ten_thousand_events_wait_for_a_machine_that_is_busy_and_come_in_order(house: House) -> None:
    (house.folder / "actions").mkdir()
    (house.folder / "actions" / "note_action.py").write_text(NOTE)
    noted = threading._test_noted = []  # type: ignore[attr-defined]
    runtime = house.begin(actions_dir=house.folder / "actions")
    counter = runtime.add(yaml.safe_load(COUNTER.replace("FOLDER", str(house.folder))), "counter")
    slowest_s = 0.0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(house.environ["STATEMACHINE_CONTROL_PREFIX"] + "-counter.sock")
        for number in range(10_000):
            began_s = time.monotonic()
            sender.send(json.dumps({"type": "n", "payload": {"n": number}}).encode())
            slowest_s = max(slowest_s, time.monotonic() - began_s)
    assert counter.state == "busy"
    until(lambda: mailbox.depths(runtime.db).get("counter", 0) >= 9_000 - 1, 30)  # a thousand are kept in memory
    assert numbers(house.metrics())["mailbox_events", (("config_type", "counter"),)] >= 9_000 - 1

    (house.folder / "go").touch()

    until(lambda: len(noted) >= 10_000, 30)
    assert noted == list(range(10_000))
    assert runtime.resources.recorder.flush(20)
    rows = mailbox.list_(runtime.db, target="counter", limit=None)
    assert [row.status for row in rows] == ["processed"] * 10_000
    assert slowest_s < 5


def test_the_largest_payload_is_taken_and_one_byte_more_is_refused_with_its_size(house: House) -> None:
    runtime = house.begin()
    growths = (_growth_of_four_more(house, runtime) for _ in range(8))
    assert any(grown < 2 * mailbox.MAX_PAYLOAD_BYTES for grown in growths), "each time as much as was sent: it is kept"

    with pytest.raises(PayloadTooLarge, match=f"{mailbox.MAX_PAYLOAD_BYTES + 1} bytes is over the limit of 16777216"):
        house.lamp.send("switch", "x" * (LARGEST + 1))
    assert house.problems() == {"payload_refused": 1}


def _growth_of_four_more(house: House, runtime: Runtime) -> int:
    before = _resident()
    _switch_with_the_largest(house, 4)
    assert runtime.resources.recorder.flush()
    gc.collect()
    return _resident() - before


def _switch_with_the_largest(house: House, times: int) -> None:
    for number in range(times):
        house.lamp.send("switch", "x" * LARGEST)
        house.lamp.wait_for("dark" if number % 2 else "lit", 30)


def _resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
