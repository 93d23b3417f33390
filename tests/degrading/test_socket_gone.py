"""A cleaner removes the control sockets."""

from __future__ import annotations

from pathlib import Path

from tests.degrading.conftest import House
from tests.support.until import until


def test_a_socket_that_was_removed_is_there_again_and_what_was_sent_meanwhile_arrives(house: House) -> None:
    house.begin()
    path = Path(house.environ["STATEMACHINE_CONTROL_PREFIX"] + "-lamp.sock")

    path.unlink()
    house.cli("send-event", "--target", "lamp", "--type", "switch")

    house.lamp.wait_for("lit", 30)
    until(path.exists)
    house.switch("dark")
    until(lambda: house.problems() == {"socket_gone": 1})
