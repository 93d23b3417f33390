"""Placeholders that are filled in by the clock."""

from __future__ import annotations

import re
import socket
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from statemachine_engine.actors.placeholders.timestamps import stamped

MOMENT = datetime(2026, 11, 24, 5, 37, 4, tzinfo=UTC).timestamp()


def test_dates_and_times_are_those_of_the_zone() -> None:
    text = "{date} {time} {datetime}"

    assert stamped(text, MOMENT, UTC) == "2026-11-24 053704 20261124T053704"
    assert stamped(text, MOMENT, ZoneInfo("Pacific/Auckland")) == "2026-11-24 183704 20261124T183704"
    assert datetime.fromisoformat(stamped("{datetime}", MOMENT, UTC)) == datetime(2026, 11, 24, 5, 37, 4)


def test_without_a_zone_they_are_those_of_this_host() -> None:
    assert stamped("{datetime}", MOMENT) == f"{datetime.fromtimestamp(MOMENT):%Y%m%dT%H%M%S}"


def test_the_uuid_is_one_for_all_places_and_another_one_the_next_time() -> None:
    first, second = (stamped(["{uuid}", {"id": "x-{uuid}"}], MOMENT) for _ in range(2))

    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", first[0])
    assert first[1]["id"] == f"x-{first[0]}"
    assert first[0] != second[0]


def test_values_are_filled_at_any_depth_and_keys_and_other_braces_never() -> None:
    value = {"{date}": ["{host}", 1, None, {"a": "{other} {{date}} {x|y} {date"}]}

    assert stamped(value, MOMENT, UTC) == {
        "{date}": [socket.gethostname(), 1, None, {"a": "{other} {date} {x|y} {date"}]
    }
