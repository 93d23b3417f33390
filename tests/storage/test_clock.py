"""Times as text and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine_engine.storage.clock import from_text, system_clock, to_text
from tests.support.manual_clock import ManualClock

TIMES = st.floats(min_value=0, max_value=4e9)


def test_a_time_is_stored_as_utc_with_milliseconds() -> None:
    assert to_text(1_795_498_624.1234) == "2026-11-24 05:37:04.123"
    assert to_text(1_795_498_624.9996) == "2026-11-24 05:37:05.000"


@pytest.mark.parametrize("text", ["2026-11-24 05:37:04", "2026-11-24T05:37:04Z", "2026-11-24 06:37:04+01:00"])
def test_whole_seconds_and_zones_are_understood(text: str) -> None:
    assert from_text(text) == 1_795_498_624.0


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="Invalid isoformat"):
        from_text("yesterday")


@given(TIMES)
def test_a_time_survives_its_text_to_the_millisecond(epoch: float) -> None:
    assert abs(from_text(to_text(epoch)) - epoch) <= 0.000_51


@given(TIMES, TIMES)
def test_texts_sort_like_their_times(one: float, other: float) -> None:
    earlier, later = sorted((one, other))
    assert to_text(earlier) <= to_text(later)


def test_a_manual_clock_moves_only_by_a_call(clock: ManualClock) -> None:
    clock.advance(1.5)

    assert clock.now() == ManualClock().now() + 1.5
    assert system_clock.now() > 1_700_000_000
