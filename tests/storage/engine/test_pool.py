"""The connection pool, with connections that only know whether they were closed."""

from __future__ import annotations

import threading

import pytest

from statemachine_engine.storage.engine.pool import Pool
from statemachine_engine.storage.errors import StoreUnavailable
from tests.support.until import until


class Connection:
    closed = False

    def close(self) -> None:
        self.closed = True


def test_connections_are_opened_when_needed_and_used_again() -> None:
    opened: list[Connection] = []

    def connect() -> Connection:
        opened.append(Connection())
        return opened[-1]

    pool = Pool(connect, 8)
    assert opened == []
    for _ in range(3):
        pool.give(pool.take())
    assert len(opened) == 1


def test_who_finds_all_connections_out_waits_for_one() -> None:
    pool = Pool(Connection, 1)
    first = pool.take()
    got: list[Connection] = []
    waiter = threading.Thread(target=lambda: got.append(pool.take()))
    waiter.start()

    assert got == []
    pool.give(first)
    waiter.join(30)
    assert got == [first]


def test_a_failed_connect_does_not_cost_a_place() -> None:
    outcomes = iter([StoreUnavailable("down"), None])

    def connect() -> Connection:
        if error := next(outcomes):
            raise error
        return Connection()

    pool = Pool(connect, 1)
    with pytest.raises(StoreUnavailable, match="down"):
        pool.take()
    assert pool.take().closed is False


def test_a_broken_connection_takes_the_idle_ones_with_it() -> None:
    pool = Pool(Connection, 2)
    broken, idle = pool.take(), pool.take()
    pool.give(idle)
    pool.discard(broken)

    assert (broken.closed, idle.closed) == (True, True)
    assert not pool.take().closed


def test_closing_ends_idle_connections_now_and_the_others_on_return() -> None:
    pool = Pool(Connection, 2)
    out, idle = pool.take(), pool.take()
    pool.give(idle)
    pool.close()

    assert (out.closed, idle.closed) == (False, True)
    pool.give(out)
    until(lambda: out.closed)
    with pytest.raises(StoreUnavailable, match="closed"):
        pool.take()
