"""The database may be read and not written, from the start or from some moment on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from statemachine_engine.storage import jobs
from statemachine_engine.storage.errors import StoreUnavailable
from tests.degrading.conftest import House
from tests.support.until import until

pytestmark = pytest.mark.usefixtures("as_root")


@contextmanager
def immutable(*paths: Path) -> Iterator[None]:
    """Nobody may change these, not even root."""
    if subprocess.run(["chattr", "+i", *paths], stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("this file system knows no immutable files")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *paths], check=True)


def test_a_start_on_a_read_only_database_is_refused_with_the_reason(house: House) -> None:
    house.db().close()

    with immutable(house.path):
        with pytest.raises(StoreUnavailable, match="readonly database; give us the right to write the file"):
            house.begin()
        said = house.cli("add-job", "j1", "--type", "t", code=1)
        assert "give us the right to write the file and its folder" in said
        assert "cannot be read and written by us" in house.cli("doctor", code=1)


def test_a_start_in_a_folder_that_may_not_be_written_is_refused_with_the_reason(house: House) -> None:
    house.db().close()

    with immutable(house.path.parent), pytest.raises(StoreUnavailable, match="unable to open database file; see that"):
        house.begin()


def test_a_database_that_becomes_read_only_costs_nothing_but_time(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = house.begin()
    jobs.enqueue(runtime.db, "j1", "t", delay_s=0.1)

    with immutable(house.path, house.path.with_name("pipeline.db-wal")):
        for state in ("lit", "dark") * 10:
            house.switch(state)
        until(lambda: "the store takes nothing" in caplog.text)
        house.cli("send-event", "--target", "lamp", "--type", "switch", code=1)
        assert not house.trace()

    until(lambda: house.trace() == ["j1"])
    until(lambda: "the store takes nothing: over after" in caplog.text)
    assert house.lamp.state == "dark"
    until(
        lambda: {"database_read_only", "database_io_error"} & house.troubles().keys()
    )  # files that are open: the latter
