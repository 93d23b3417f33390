"""Sleeping takes its time, and ends at once when the machine moves on."""

from __future__ import annotations

import threading
import time

import pytest

from statemachine_engine.actors.errors import ActionError


@pytest.mark.parametrize("duration", [0.01, "0.01", ".01", "10ms", 0])
def test_it_yields_wake_up(bench, duration):
    assert bench.run("sleep", duration=duration) == "wake_up"


def test_success_names_another_event(bench):
    assert bench.run("sleep", duration=0, success="rested") == "rested"


def test_cancelled_it_ends_at_once_and_yields_nothing(bench):
    started = time.monotonic()
    threading.Timer(0.05, bench.services.cancel.cancel).start()

    assert bench.run("sleep", duration="1h") is None
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("duration", ["soon", -1, True, None, []])
def test_what_is_no_duration_is_refused(bench, duration):
    with pytest.raises(ActionError, match="'duration'"):
        bench.run("sleep", duration=duration)
