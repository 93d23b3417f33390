"""A trouble is said once a minute, and once when it is over."""

from __future__ import annotations

import pytest

from statemachine_engine.actors import trouble as trouble_module
from statemachine_engine.actors.trouble import Trouble


@pytest.fixture
def trouble() -> Trouble:
    return Trouble("the store takes nothing", lambda: "2 writes wait", lambda: "they are stored now")


def test_it_is_said_once_however_often_it_is_met_and_once_when_it_is_over(
    trouble: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        trouble.met("disk full")
    assert trouble.lasts
    trouble.over()
    trouble.over()

    assert not trouble.lasts
    assert caplog.messages == [
        "the store takes nothing: disk full; 2 writes wait",
        "the store takes nothing: over after 0.0 s; they are stored now",
    ]


def test_one_that_goes_on_is_said_again_after_a_while(
    trouble: Trouble, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trouble_module, "QUIET_S", 0.0)
    trouble.met("disk full")
    trouble.met("disk full")

    assert caplog.text.count("disk full") == 2


def test_one_that_comes_and_goes_does_not_fill_the_log(trouble: Trouble, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        trouble.met("locked")
        trouble.over()

    assert len(caplog.messages) == 2


def test_no_trouble_is_not_over(trouble: Trouble, caplog: pytest.LogCaptureFixture) -> None:
    trouble.over()

    assert not caplog.messages
