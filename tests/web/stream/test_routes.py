"""The live stream, over real sockets: nothing missed, nothing twice, nobody held up by anybody."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from statemachine_engine.actors.audit import tail
from statemachine_engine.storage import audit
from statemachine_engine.storage.engine import migrations
from statemachine_engine.web.feed import backlog, feed
from statemachine_engine.web.stream import client, follower, pipe, routes
from tests.support.until import slowed, until
from tests.support.websocket import Closed, Refused, WebSocket
from tests.web.conftest import Site


def note(number: int) -> tuple[str, str, dict[str, Any]]:
    return ("m", "activity_log", {"message": f"line {number}", "level": "info"})


def ids(ws: WebSocket, count: int) -> list[int]:
    return [ws.receive()["id"] for _ in range(count)]


@pytest.mark.parametrize("path", ["/ws/events", "/ws"])
def test_a_client_gets_the_machines_first_and_then_events_in_their_order(site: Site, path: str) -> None:
    site.start("worker")
    with site.follow(path=path) as ws:
        initial = ws.receive()
        written = site.happen(*map(note, range(700)))
        site.move("worker", "waiting", "working")

        assert [m["machine_name"] for m in initial["machines"]] == ["worker"]
        assert initial["machines"][0]["running"] is True
        assert ids(ws, 700) == written
        change = ws.receive()
    assert {**change, "id": 0, "timestamp": 0} == {
        "machine_name": "worker", "type": "state_change", "event_type": "state_change", "id": 0, "timestamp": 0,
        "payload": {**change["payload"], "from_state": "waiting", "to_state": "working", "event_trigger": "go"},
    }  # fmt: skip


def test_an_event_is_there_within_a_moment(site: Site) -> None:
    with site.follow() as ws:
        ws.receive()
        began_s = time.monotonic()
        site.happen(note(1))
        ws.receive()

    assert time.monotonic() - began_s < 0.5 * slowed()


@pytest.mark.parametrize("kept", [5, 8192], ids=["from the database", "from memory"])
def test_a_client_that_comes_back_gets_exactly_what_it_missed(
    site: Site, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(backlog, "MOST", kept)
    with site.follow() as ws:
        ws.receive()
        (first,) = site.happen(note(0))
        assert ids(ws, 1) == [first]
    missed = [number for part in range(12) for number in site.happen(*map(note, range(100 * part, 100 * part + 100)))]
    until(lambda: site.monitor.feed.backlog.end.id == missed[-1])

    with site.follow(f"?since={first}") as ws:
        assert ws.receive()["last_id"] == first
        assert ids(ws, len(missed)) == missed
        later = site.happen(note(9))
        assert ids(ws, 1) == later


@pytest.mark.parametrize("path", ["/ws", "/ws/events"])
def test_a_request_that_is_no_websocket_is_refused(site: Site, path: str) -> None:
    assert site.ask(path).status == 400


@pytest.mark.parametrize("headers", [{"Upgrade": "websocket"}, {"Upgrade": "websocket", "Connection": "Upgrade"}])
def test_a_handshake_that_lacks_its_half_harms_nobody(site: Site, headers: dict[str, str]) -> None:
    with contextlib.suppress(http.client.HTTPException, OSError):
        assert site.ask("/ws", **headers).status >= 400
    with site.follow() as ws:
        assert ws.receive()["type"] == "initial"
    until(lambda: site.monitor.feed.clients == 0)


def test_a_client_can_say_where_to_go_on_after_it_has_come(site: Site) -> None:
    written = site.happen(*map(note, range(10)))
    until(lambda: site.monitor.feed.backlog.end.id == written[-1])
    with site.follow() as ws:
        assert ws.receive()["last_id"] == written[-1]
        ws.send(json.dumps({"since": written[4]}))

        assert ids(ws, 5) == written[5:]


def test_a_client_that_was_away_for_too_long_resynchronises(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "MOST", 5)
    monkeypatch.setattr(follower, "MOST_BEHIND", 20)
    written = site.happen(*map(note, range(40)))
    until(lambda: site.monitor.feed.backlog.end.id == written[-1])

    with site.follow("?since=0") as ws:
        ws.receive()
        assert ws.receive() == {"type": "resync", "last_id": written[-1]}
        later = site.happen(note(1))
        assert ids(ws, 1) == later


def test_a_client_of_another_database_must_resynchronise(site: Site) -> None:
    with site.follow("?since=4711") as ws:
        ws.receive()
        assert ws.receive() == {"type": "resync", "last_id": 0}


def test_a_client_whose_missed_events_were_pruned_must_resynchronise(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "MOST", 2)
    written = site.happen(*map(note, range(20)))
    until(lambda: site.monitor.feed.backlog.end.id == written[-1])
    with site.db.write():
        site.db.execute("DELETE FROM realtime_events WHERE id < ?", (written[10],))

    with site.follow(f"?since={written[3]}") as ws:
        ws.receive()
        assert ws.receive()["type"] == "resync"


def test_when_the_ids_start_again_clients_resynchronise(site: Site) -> None:
    written = site.happen(*map(note, range(20)))
    with site.follow("?since=0") as ws:
        ws.receive()
        assert ids(ws, 20) == written
        migrations.recreate(site.db)
        fresh = site.happen(note(1))
        assert fresh[0] <= written[-1]

        assert ws.until("resync")["last_id"] in (0, fresh[0])
        site.happen(("m", "activity_log", {"message": "after"}))
        assert any(ws.receive()["payload"] == {"message": "after"} for _ in range(2))


def test_a_client_that_reads_nothing_slows_nobody_and_resynchronises_later(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "MOST", 20)
    big = ("m", "activity_log", {"message": "x" * 50_000})
    with site.follow(buffer=4096) as stalled, site.follow() as reading:
        reading.receive()
        for _ in range(20):
            written = site.happen(*[big] * 10)
            assert ids(reading, 10) == written

        seen = stalled.receive()
        while seen["type"] != "resync":
            seen = stalled.receive()
        later = site.happen(note(1))
        assert ids(reading, 1) == later


def test_a_log_that_grows_faster_than_it_is_shown_is_shown_to_its_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full batches notify no client until a round is over; the last one must be announced too."""
    monkeypatch.setattr(feed, "ROUND_S", 0.3)
    monkeypatch.setattr(backlog, "MOST", 10_000)
    with site.follow() as ws:
        ws.receive()
        written = site.happen(*map(note, range(tail.BATCH * 4)))

        assert ids(ws, len(written)) == written


def test_a_client_that_never_takes_anything_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "STALLED_S", 0.1)
    monkeypatch.setattr(pipe, "LOOK_MS", 20)
    big = ("m", "activity_log", {"message": "x" * 200_000})
    with site.follow(buffer=4096):
        until(lambda: site.monitor.feed.clients == 1)

        until(lambda: site.happen(*[big] * 5) and site.monitor.feed.clients == 0)


def test_the_server_notices_when_a_client_leaves(site: Site) -> None:
    for _ in range(3):
        with site.follow() as ws:
            ws.receive()
            assert site.monitor.feed.clients == 1
        until(lambda: site.monitor.feed.clients == 0)


def test_older_clients_words_are_understood_and_others_ignored(site: Site) -> None:
    with site.follow() as ws:
        ws.receive()
        for text in ("pong", "nonsense", "{", '{"since": "x"}', "[]", '{"since": true}', "1" * 4000):
            ws.send(text)
        ws.send("ping")
        assert ws.receive() == {"type": "pong"}
        site.start("late")
        until(lambda: [m["machine_name"] for m in _refreshed(ws)["machines"]] == ["late"])


def _refreshed(ws: WebSocket) -> dict[str, Any]:
    ws.send("refresh")
    return ws.until("initial")


def test_an_idle_client_is_pinged(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PING_S", 0.05)
    with site.follow() as ws:
        ws.receive()
        first, second = ws.receive(), ws.receive()

    assert first["type"] == second["type"] == "ping"
    assert second["timestamp"] > first["timestamp"]


def test_a_message_that_is_too_long_ends_the_connection(site: Site) -> None:
    with site.follow() as ws:
        ws.receive()
        ws.send("x" * 100_000)
        with pytest.raises(Closed):
            ws.receive()


def test_clients_get_a_message_when_the_server_stops(site: Site) -> None:
    with site.follow() as ws:
        ws.receive()
        site.monitor.close()
        with pytest.raises(Closed, match="1001"):
            ws.receive()


def test_too_many_clients_are_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "MOST_STREAMS", 1)
    with site.follow() as ws:
        ws.receive()
        with pytest.raises(Refused) as refused:
            site.follow()
        assert refused.value.status == 503
        assert site.ask("/api/stream").status == 503


@pytest.mark.parametrize("since", ["x", "-1", "1.5", "99999999999999999999"])
def test_a_place_that_is_none_is_refused(site: Site, since: str) -> None:
    with pytest.raises(Refused) as refused:
        site.follow(f"?since={since}")
    assert refused.value.status == 400


def test_a_database_that_goes_away_and_comes_back_is_followed_on(make_site: Callable[..., Site]) -> None:
    site = make_site()
    path = site.db.path
    assert path is not None
    written = site.happen(*map(note, range(3)))
    with site.follow("?since=0") as ws:
        ws.receive()
        assert ids(ws, 3) == written
        aside = path.with_name("aside.db")
        path.rename(aside)
        until(lambda: site.monitor.feed.problem is not None)
        assert site.ask("/ready").status == 503
        aside.rename(path)
        until(lambda: site.monitor.feed.problem is None)

        later = site.happen(note(3), note(4))
        assert ids(ws, 2) == later


def sse(site: Site, **headers: str) -> Iterator[tuple[str | None, dict[str, Any]]]:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
    try:
        connection.request("GET", "/api/stream", headers={k.replace("_", "-"): v for k, v in headers.items()})
        answer = connection.getresponse()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        number = None
        while line := answer.readline().decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            if name == "id":
                number = value
            else:
                assert name == "data"
                assert answer.readline() == b"\n"
                yield number, json.loads(value)
                number = None
    finally:
        connection.close()


def test_server_sent_events_carry_ids_and_go_on_after_the_last_one(site: Site) -> None:
    written = site.happen(*map(note, range(5)))
    until(lambda: site.monitor.feed.backlog.end.id == written[-1])
    events = sse(site, Last_Event_ID=str(written[1]))
    number, initial = next(events)
    assert (number, initial["type"], initial["last_id"]) == (None, "initial", written[1])
    got = [next(events) for _ in range(3)]
    events.close()  # type: ignore[attr-defined]

    assert [(number, event["id"]) for number, event in got] == [(str(n), n) for n in written[2:]]
    assert got[0][1]["payload"] == {"message": "line 2", "level": "info"}


def test_a_client_of_server_sent_events_that_leaves_is_noticed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PING_S", 0.05)
    events = sse(site)
    next(events)
    until(lambda: site.monitor.feed.clients == 1)
    events.close()  # type: ignore[attr-defined]

    until(lambda: site.monitor.feed.clients == 0)


def test_the_event_socket_of_another_monitor_is_not_taken(make_site: Callable[..., Site]) -> None:
    first = make_site()
    until(lambda: first.monitor.feed.has_event_socket)
    second = make_site()
    with second.follow() as ws:
        ws.receive()
        written = second.happen(note(1))
        assert ids(ws, 1) == written

    assert first.monitor.feed.has_event_socket
    assert not second.monitor.feed.has_event_socket
    assert (first.get("/health")["unix_socket_active"], second.get("/health")["unix_socket_active"]) == (True, False)


def test_it_works_on_postgresql(make_site: Callable[..., Site], postgres_url: str) -> None:
    site = make_site(db_url=postgres_url)
    site.start("worker")
    with site.follow() as ws:
        assert [m["machine_name"] for m in ws.receive()["machines"]] == ["worker"]
        written = site.happen(*map(note, range(50)))
        assert ids(ws, 50) == written
    assert [job["job_id"] for job in site.get("/api/jobs?q=x")["items"]] == []
    assert [event["id"] for event in site.get("/api/events?limit=2")["items"]] == written[:-3:-1]
    assert site.get("/api/machines/worker")["counts"] == []
    assert "statemachine_machines" in site.ask("/metrics").text
    assert audit.newest_id(site.db) == written[-1]


def test_the_thread_that_reads_a_connection_ends_with_it(site: Site) -> None:
    with site.follow() as ws:
        ws.receive()

    until(lambda: not [thread for thread in threading.enumerate() if isinstance(thread, routes.Reader)])
