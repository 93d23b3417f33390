"""The cancel token: set once, from any thread, heard by everybody."""

from __future__ import annotations

import threading

import pytest

from statemachine_engine.actors.concurrency.cancel_token import Cancelled, CancelToken


def test_a_fresh_token_is_not_set() -> None:
    token = CancelToken()
    assert not token.cancelled
    token.raise_if_cancelled()
    assert not token.wait(0)


def test_setting_it_calls_each_callback_once() -> None:
    token, called = CancelToken(), []
    token.on_cancel(lambda: called.append(1))
    token.on_cancel(lambda: called.append(2))

    token.cancel()
    token.cancel()

    assert called == [1, 2]
    assert token.cancelled


def test_a_callback_taken_back_is_not_called() -> None:
    token, called = CancelToken(), []
    forget = token.on_cancel(lambda: called.append(1))
    forget()
    forget()
    token.cancel()
    assert not called


def test_a_callback_that_comes_too_late_is_called_at_once() -> None:
    token, called = CancelToken(), []
    token.cancel()
    token.on_cancel(lambda: called.append(1))()
    assert called == [1]


def test_a_callback_that_fails_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    token, called = CancelToken(), []
    token.on_cancel(lambda: [][0])
    token.on_cancel(lambda: called.append(1))
    token.cancel()
    token.on_cancel(lambda: [][0])
    assert called == [1]
    assert caplog.text.count("a callback of a cancelled action failed") == 2


def test_a_set_token_raises_a_base_exception() -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        token.raise_if_cancelled()
    assert not issubclass(Cancelled, Exception)


def test_setting_the_token_ends_all_waits() -> None:
    token, results = CancelToken(), []
    threads = [threading.Thread(target=lambda: results.append(token.wait(30))) for _ in range(5)]
    for thread in threads:
        thread.start()
    token.cancel()
    for thread in threads:
        thread.join(30)
    assert results == [True] * 5
    assert token.wait(None)


def test_a_callback_is_called_exactly_once_however_threads_race() -> None:
    for _ in range(200):
        token, called, start = CancelToken(), [], threading.Barrier(3)

        def register(token: CancelToken = token, called: list[int] = called, start: threading.Barrier = start) -> None:
            start.wait()
            token.on_cancel(lambda: called.append(1))

        threads = [threading.Thread(target=register) for _ in range(2)]
        for thread in threads:
            thread.start()
        start.wait()
        token.cancel()
        for thread in threads:
            thread.join()
        assert called == [1, 1]
