"""The PostgreSQL server is down, at the start or from some moment on."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from urllib.parse import unquote

import pytest

from statemachine_engine.actors.runtime import runtime
from statemachine_engine.storage import audit, jobs, mailbox
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import StoreUnavailable
from tests.degrading.conftest import House
from tests.support.postgres import OwnServer, fresh_schema, own_server
from tests.support.proxy import Proxy
from tests.support.until import until


@pytest.fixture
def server(postgres_url: str) -> Iterator[Proxy]:
    """The door through which the runtime reaches its server; shut."""
    folder = re.search(r"host=([^&]+)", postgres_url)
    if folder is None or not folder[1].startswith(("/", "%2F")):
        pytest.skip("the server has no socket of its own")

    def connect() -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(unquote(folder[1]) + "/.s.PGSQL.5432")
        return sock

    proxy = Proxy(connect)
    yield proxy
    proxy.shut()


@pytest.fixture
def url(server: Proxy, postgres_url: str) -> str:
    """The database by way of the door."""
    return re.sub(r"host=[^&]+", f"host=127.0.0.1&port={server.port}", postgres_url)


def test_a_start_without_a_server_is_refused_with_the_reason(house: House, url: str) -> None:
    with pytest.raises(StoreUnavailable, match="(?s)Connection refused.*; see that the server runs and can be reached"):
        house.begin(url)
    said = house.cli("add-job", "j1", "--type", "t", "--db", url, code=1)
    assert "see that the server runs and can be reached" in said


def test_machines_live_through_a_server_that_goes_and_hear_what_was_sent_meanwhile(
    server: Proxy, url: str, postgres_url: str, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    server.open()
    recorder = house.begin(url).resources.recorder
    elsewhere = Database.open(postgres_url)

    server.shut()
    for state in ("lit", "dark") * 5:
        house.switch(state)
    with pytest.raises(StoreUnavailable):
        house.lamp.send("switch")
    mailbox.post(elsewhere, "lamp", "switch")
    jobs.enqueue(elsewhere, "j1", "t")
    until(lambda: "cannot receive notifications from other hosts" in caplog.text)
    until(lambda: "the store takes nothing" in caplog.text)
    began_s = time.process_time()
    server.open()

    house.lamp.wait_for("lit", 30)
    until(lambda: house.trace() == ["j1"])
    until(lambda: "cannot receive notifications from other hosts: over after" in caplog.text)
    until(lambda: "the store takes nothing: over after" in caplog.text)
    assert recorder.flush()
    assert time.process_time() - began_s < 2, "waiting is no busy loop"
    until(lambda: {"database_unreachable", "hosts_unheard"} <= house.problems().keys())
    assert len(audit.transitions(elsewhere, "lamp")) == 11

    mailbox.post(elsewhere, "lamp", "switch")  # by NOTIFY, or at the look once a second
    house.lamp.wait_for("dark", 30)
    elsewhere.close()


@pytest.fixture(scope="module")
def own() -> Iterator[OwnServer]:
    """A server that may be stopped."""
    with own_server() as server:
        yield server


@pytest.fixture
def own_url(own: OwnServer) -> Iterator[str]:
    """An empty schema there; to be asked for before `house`, which ends first then."""
    with fresh_schema(own.url) as url:
        yield url


def test_machines_live_through_a_server_that_is_stopped_and_started_again(
    own: OwnServer, own_url: str, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    db = house.begin(own_url).db
    jobs.enqueue(db, "before", "t")
    until(lambda: house.status(db, "before") == "completed")

    own.stop()
    for state in ("lit", "dark") * 5:
        house.switch(state)
    until(lambda: "the store takes nothing" in caplog.text)
    until(lambda: "cannot receive notifications from other hosts" in caplog.text)
    own.start()

    until(lambda: "the store takes nothing: over after" in caplog.text)
    until(lambda: "cannot receive notifications from other hosts: over after" in caplog.text)
    with Database.open(own_url) as elsewhere:
        until(lambda: len(audit.transitions(elsewhere, "lamp")) == 10)
        mailbox.post(elsewhere, "lamp", "switch")
        house.lamp.wait_for("lit", 30)
        jobs.enqueue(elsewhere, "after", "t")
        until(lambda: house.status(elsewhere, "after") == "completed")
    assert house.trace() == ["before", "after"]


def test_machines_live_through_a_server_that_answers_nothing_for_a_while(
    own: OwnServer, own_url: str, house: House
) -> None:
    machines = house.begin(own_url)

    with own.frozen():
        for state in ("lit", "dark") * 5:
            house.switch(state)

    assert machines.resources.recorder.flush()
    assert len(audit.transitions(machines.db, "lamp")) == 10
    jobs.enqueue(machines.db, "after", "t")
    until(lambda: house.status(machines.db, "after") == "completed")


def test_an_end_does_not_wait_for_a_server_that_never_answers(
    own: OwnServer, own_url: str, house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "SILENCE_S", 0.1)
    monkeypatch.setattr(runtime, "CUT_OFF_S", 0.1)
    monkeypatch.setattr(runtime, "LOSS_S", 0.1)
    began_s = time.monotonic()
    stopped = house.begin(own_url)

    with own.frozen():
        house.switch("lit")
        stopped.stop(grace_s=0.1)
        assert time.monotonic() - began_s < 10

    assert "does not answer: ending without it" in caplog.text
    lost = until(lambda: re.search(r"(\d+) records of the audit log are lost", caplog.text))
    assert int(lost[1]) == stopped.resources.recorder.lost > 0
