"""Fixtures for every room: a store on each database, a clock that obeys."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from statemachine_engine.storage.engine.database import Database
from tests.support.manual_clock import ManualClock
from tests.support.postgres import fresh_schema

DATABASES = ("sqlite", "postgres")

# Children inherit ignored signals: under `nohup`, or in the background of a shell, nothing would end on Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that may take longest, so that none of them runs alone at the end."""

    def may_take_s(item: pytest.Item) -> float:
        marker = item.get_closest_marker("timeout")
        return float(marker.args[0]) if marker else 0.0

    items.sort(key=may_take_s, reverse=True)


@pytest.fixture
def clock() -> ManualClock:
    """The clock of `db`: stands still until advanced."""
    return ManualClock()


@pytest.fixture(params=DATABASES)
def db_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty store, on each database in turn."""
    if request.param == "postgres":
        with fresh_schema() as url:
            yield url
    else:
        yield f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def open_db() -> Iterator[Callable[..., Database]]:
    """`Database.open`, whose databases are closed after the test."""
    opened: list[Database] = []

    def open_one(*args: object, **options: object) -> Database:
        opened.append(Database.open(*args, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for database in opened:
        database.close()


@pytest.fixture
def db(db_url: str, clock: ManualClock, open_db: Callable[..., Database]) -> Database:
    """An empty store, on each database in turn, under the manual clock."""
    return open_db(db_url, clock=clock)


@pytest.fixture
def sqlite_path(tmp_path: Path) -> Path:
    """Return a path for a SQLite file."""
    return tmp_path / "data" / "pipeline.db"


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """An empty schema on PostgreSQL."""
    with fresh_schema() as url:
        yield url
