"""Access checks, over real HTTP and real WebSockets."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from statemachine_engine.storage import audit, jobs
from statemachine_engine.web.app import create_app, monitor_of
from tests.support.websocket import Refused
from tests.web.conftest import Answer, Site

TOKEN = "a secret of the test"
WRITES = [
    ("/api/jobs", {"job_type": "work"}),
    ("/api/jobs/j/retry", {}),
    ("/api/jobs/j/cancel", {}),
    ("/api/jobs/bulk", {"action": "cancel", "ids": ["j"]}),
    ("/api/machines/m/events", {"type": "go"}),
    ("/api/machines/m/stop", {}),
]
READS = {"GET", "HEAD", "OPTIONS"}
FOREIGN = ["http://evil.example", "https://127.0.0.1.evil.example", "null", "http://127.0.0.1:1", "file://", "junk"]


@pytest.fixture
def guarded(make_site: Callable[..., Site]) -> Site:
    """A monitor that listens beyond loopback."""
    return make_site(host="0.0.0.0", token=TOKEN)


def untouched(site: Site) -> bool:
    return not jobs.find(site.db) and audit.newest_id(site.db) == 0


def test_these_are_all_the_writes_there_are(tmp_path: Path) -> None:
    app = create_app(tmp_path / "x.db")
    with closing(monitor_of(app)):
        rules = app.url_map.bind("localhost")
        tried = {rules.match(path, method="POST")[0] for path, _ in WRITES}
        known = {rule.endpoint for rule in app.url_map.iter_rules() if set(rule.methods or ()) - READS}
    assert known - tried == {"pages.csp_report"}, "which changes nothing but a count"


def test_a_page_of_ours_may_write(site: Site) -> None:
    origin = f"http://127.0.0.1:{site.port}"
    assert site.post("/api/jobs", {"job_type": "work"}, Origin=origin).status == 201


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize(("path", "body"), WRITES)
def test_a_write_from_a_page_of_another_origin_is_refused(site: Site, path: str, body: Any, origin: str) -> None:
    assert site.post(path, body, Origin=origin).status == 403
    assert untouched(site)


@pytest.mark.parametrize("path", ["/ws", "/ws/events"])
@pytest.mark.parametrize("origin", FOREIGN)
def test_a_websocket_from_a_page_of_another_origin_is_refused(site: Site, path: str, origin: str) -> None:
    with pytest.raises(Refused) as refused:
        site.follow(path=path, Origin=origin)
    assert refused.value.status == 403


@pytest.mark.parametrize("origin", FOREIGN)
def test_server_sent_events_for_a_page_of_another_origin_are_refused(site: Site, origin: str) -> None:
    """Refuse them because they hold threads, although the page could not read them."""
    assert site.ask("/api/stream", Origin=origin).status == 403


def test_a_websocket_from_the_page_on_either_port_is_taken(make_site: Callable[..., Site]) -> None:
    site = make_site(port=3001, websocket_port=3002)
    for port in (site.port, 3001, 3002):
        with site.follow(Origin=f"http://127.0.0.1:{port}") as ws:
            assert ws.receive()["type"] == "initial"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:3001", "127.0.0.1.evil.example", "10.1.2.3", "[::2]:1"])
@pytest.mark.parametrize("path", ["/", "/api/machines", "/api/config", "/metrics", "/static/app.js", "/health"])
def test_a_foreign_name_for_this_server_is_refused(site: Site, path: str, host: str) -> None:
    """A site that points its own name at 127.0.0.1 must not be able to read anything (DNS rebinding)."""
    answer = site.ask(path, Host=host)
    assert answer.status == 421
    assert site.csrf not in answer.text


def test_a_websocket_under_a_foreign_name_is_refused(site: Site) -> None:
    from tests.support.websocket import WebSocket

    with pytest.raises(Refused) as refused:
        WebSocket(site.port, host="evil.example:3001")
    assert refused.value.status == 421


@pytest.mark.parametrize("host", ["localhost", "localhost:3001", "127.0.0.1", "[::1]:3001"])
def test_the_names_of_this_computer_are_taken(site: Site, host: str) -> None:
    assert site.ask("/api/machines", Host=host).status == 200


def test_a_name_that_was_allowed_is_taken(make_site: Callable[..., Site]) -> None:
    site = make_site(allowed_hosts=("Monitor.Example",))
    assert site.ask("/api/machines", Host="monitor.example").status == 200


@pytest.mark.parametrize("csrf", [None, "", "wrong", "x" * 40])
@pytest.mark.parametrize(("path", "body"), WRITES)
def test_a_write_without_the_page_s_own_token_is_refused(site: Site, path: str, body: Any, csrf: str | None) -> None:
    assert site.post(path, body, X_CSRF_Token=csrf).status == 403
    assert untouched(site)


def test_a_form_of_another_site_cannot_write(site: Site) -> None:
    """Send what a page may send without a preflight request: no own headers, a simple content type."""
    answer = site.ask("/api/jobs", "POST", b'{"job_type": "work"}', Content_Type="text/plain")
    assert answer.status == 403
    assert untouched(site)


@pytest.mark.parametrize(("path", "body"), WRITES)
def test_a_read_only_monitor_refuses_every_write(make_site: Callable[..., Site], path: str, body: Any) -> None:
    site = make_site(read_only=True)
    answer = site.post(path, body)

    assert (answer.status, answer.json["error"]) == (403, "the monitor is read-only")
    assert untouched(site)
    assert site.get("/api/config")["read_only"] is True
    with site.follow() as ws:
        assert ws.receive()["read_only"] is True


def test_a_read_only_monitor_with_a_token_refuses_its_bearer_too(make_site: Callable[..., Site]) -> None:
    site = make_site(host="0.0.0.0", token=TOKEN, read_only=True)
    assert site.post("/api/jobs", {"job_type": "work"}, Authorization=f"Bearer {TOKEN}").status == 403


EVERYTHING = ["/", "/initial", "/metrics", "/api/config", "/api/machines", "/api/jobs", "/api/events", "/api/stream",
              "/api/openapi.json", "/api/diagram/m", "/api/nothing"]  # fmt: skip


@pytest.mark.parametrize("path", EVERYTHING)
@pytest.mark.parametrize("authorization", [None, "Bearer wrong", f"Basic {TOKEN}", "Bearer"])
def test_beyond_loopback_nothing_is_shown_without_the_token(
    guarded: Site, path: str, authorization: str | None
) -> None:
    answer = guarded.ask(path, Authorization=authorization)
    assert answer.status == 401
    assert guarded.csrf not in answer.text


@pytest.mark.parametrize(("path", "body"), WRITES)
def test_beyond_loopback_nothing_is_done_without_the_token(guarded: Site, path: str, body: Any) -> None:
    assert guarded.post(path, body).status == 401
    assert untouched(guarded)


@pytest.mark.parametrize("path", ["/ws", "/ws/events"])
def test_beyond_loopback_nobody_follows_without_the_token(guarded: Site, path: str) -> None:
    with pytest.raises(Refused) as refused:
        guarded.follow(path=path)
    assert refused.value.status == 401


def test_the_token_opens_everything_as_a_bearer(guarded: Site) -> None:
    authorization = f"Bearer {TOKEN}"
    assert guarded.ask("/api/machines", Authorization=authorization).status == 200
    answer = guarded.ask("/api/jobs", "POST", {"job_type": "work"}, Authorization=authorization)
    assert answer.status == 201
    with guarded.follow(Authorization=authorization) as ws:
        assert ws.receive()["type"] == "initial"


def test_the_token_in_the_address_becomes_a_cookie_that_scripts_cannot_read(guarded: Site) -> None:
    answer = login(guarded, "a%20secret%20of%20the%20test")
    cookie = answer.headers["Set-Cookie"]

    assert (answer.status, answer.headers["Location"]) == (303, "./")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert TOKEN not in cookie
    name_and_value = cookie.split("; ")[0]
    assert guarded.ask("/", Cookie=name_and_value).status == 200
    assert guarded.post("/api/jobs", {"job_type": "work"}, Cookie=name_and_value).status == 201
    assert guarded.post("/api/jobs", {"job_type": "work"}, Cookie=name_and_value, X_CSRF_Token=None).status == 403
    with guarded.follow(Cookie=name_and_value) as ws:
        assert ws.receive()["type"] == "initial"


def test_the_cookie_is_sent_back_securely_only_over_https(guarded: Site) -> None:
    cookie = guarded.ask(f"/login?token={quote(TOKEN)}").headers["Set-Cookie"]

    name_value, *attributes = cookie.split("; ")
    names = {attribute.partition("=")[0] for attribute in attributes}
    assert names == {"Expires", "HttpOnly", "Max-Age", "Path", "SameSite"}
    assert name_value.partition("=")[2] == guarded.monitor.cookie_token
    app = create_app(guarded.db.url, host="0.0.0.0", token=TOKEN)
    with closing(monitor_of(app)), app.test_client() as client:
        secure = client.get(f"/login?token={quote(TOKEN)}", base_url="https://127.0.0.1")
    assert "Secure" in secure.headers["Set-Cookie"].split("; ")


PATHS = ["/", "/login", "/health", "/ready", "/initial", "/metrics", "/api/config", "/api/openapi.json", "/api/jobs"]


@pytest.mark.parametrize("path", PATHS)
def test_no_answer_contains_the_token_or_the_cookie(guarded: Site, path: str) -> None:
    answers = [guarded.ask(path), guarded.ask(path, Authorization=f"Bearer {TOKEN}")]

    for answer in answers:
        sent = f"{dict(answer.headers)}{answer.text}"
        assert TOKEN not in sent
        assert quote(TOKEN) not in sent
        assert guarded.monitor.cookie_token not in sent
    assert guarded.monitor.csrf_token not in answers[0].text


def test_the_cookie_and_the_page_s_token_are_not_the_token(guarded: Site) -> None:
    monitor = guarded.monitor

    assert len({TOKEN, monitor.cookie_token, monitor.csrf_token}) == 3
    assert guarded.ask("/api/jobs", Authorization=f"Bearer {monitor.cookie_token}").status == 401
    assert guarded.ask("/api/jobs", Cookie=f"{monitor.cookie_name}={TOKEN}").status == 401
    assert guarded.ask("/api/jobs", Cookie=f"{monitor.cookie_name}={monitor.cookie_token}").status == 200


def test_monitors_side_by_side_leave_each_other_their_cookies(make_site: Callable[..., Site]) -> None:
    sites = {token: make_site(token=token) for token in ("one", "two")}
    jar = "; ".join(login(site, token).headers["Set-Cookie"].split(";")[0] for token, site in sites.items())
    assert [site.ask("/", Cookie=jar).status for site in sites.values()] == [200, 200]


def test_a_wrong_token_in_the_address_gets_no_cookie(guarded: Site) -> None:
    answer = login(guarded, "guess")
    assert answer.status == 403
    assert "Set-Cookie" not in answer.headers


def test_without_a_token_the_way_in_leads_to_the_page(site: Site) -> None:
    assert login(site, "any").headers["Location"] == "./"


def test_a_browser_without_the_token_is_asked_for_it(guarded: Site) -> None:
    answer = guarded.ask("/", Accept="text/html,*/*")
    assert answer.status == 401
    assert '<form action="login"' in answer.text


def test_beyond_loopback_an_app_without_a_token_serves_nobody(make_site: Callable[..., Site]) -> None:
    site = make_site(host="0.0.0.0")
    assert site.ask("/api/machines").status == 403


def test_whether_it_lives_may_be_asked_by_anybody(guarded: Site) -> None:
    assert guarded.ask("/health").status == 200
    assert guarded.ask("/ready").status == 200


def test_on_every_address_figures_are_taken_and_foreign_names_are_not(guarded: Site) -> None:
    assert guarded.ask("/health", Host="192.0.2.7:3001").status == 200
    assert guarded.ask("/health", Host="evil.example").status == 421


def test_every_control_leaves_a_row_that_says_who_what_and_when(site: Site) -> None:
    site.start("m")
    site.post("/api/jobs", {"job_type": "work", "job_id": "j"})
    site.post("/api/jobs/j/cancel")
    site.post("/api/jobs/j/retry")
    site.post("/api/jobs/bulk", {"action": "cancel", "ids": ["j", "none"]})
    site.post("/api/machines/m/events", {"type": "go"})
    site.post("/api/machines/m/stop")

    rows = site.get("/api/events?type=control&since=0")["items"]
    assert [(row["payload"]["action"], row["payload"]["target"]) for row in rows] == [
        ("add_job", "j"), ("cancel_job", "j"), ("retry_job", "j"), ("cancel_jobs", "1 jobs"), ("send_event", "m"),
        ("stop", "m"),
    ]  # fmt: skip
    assert {(row["payload"]["by"], row["payload"]["address"]) for row in rows} == {("local user", "127.0.0.1")}
    assert all(row["timestamp"] > 0 for row in rows)


def test_what_a_browser_may_do_with_an_answer_is_said_on_each(site: Site) -> None:
    for path in ("/", "/api/machines", "/static/app.js", "/nowhere"):
        headers = site.ask(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in headers


def test_a_host_cannot_write_into_the_policy(make_site: Callable[..., Site]) -> None:
    site = make_site(allowed_hosts=("a; script-src *",))
    assert "script-src *" not in site.ask("/health", Host="a; script-src *").headers["Content-Security-Policy"]


def test_reports_of_broken_rules_are_counted(site: Site) -> None:
    assert site.ask("/csp-report", "POST", b'{"csp-report": {}}', Content_Type="application/csp-report").status == 204


def login(site: Site, token: str) -> Answer:
    return site.ask(f"/login?token={token}")
