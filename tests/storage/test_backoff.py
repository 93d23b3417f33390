"""Test the waits between retries."""

from __future__ import annotations

from statemachine_engine.storage.backoff import back_off


def test_each_wait_grows_by_the_factor_up_to_the_longest() -> None:
    assert [back_off(1, attempt, longest_s=10) for attempt in (1, 2, 3, 4, 5, 5000)] == [1, 2, 4, 8, 10, 10]
    assert [back_off(1, attempt, longest_s=10, factor=3) for attempt in (1, 2, 3, 4)] == [1, 3, 9, 10]


def test_no_wait_stays_none_however_often_it_is_tried() -> None:
    assert [back_off(0, attempt, longest_s=10) for attempt in (1, 20, 5000)] == [0, 0, 0]
