"""Requests go out as they are configured, answers come back bounded, and every failure has a name."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine.actors.actions import http_exchange
from statemachine_engine.actors.actions.errors import HttpTooLate, HttpUnreachable
from statemachine_engine.actors.actions.http_exchange import Answer, Request, redirected, target_of
from statemachine_engine.actors.concurrency.cancel_token import Cancelled
from statemachine_engine.actors.errors import ActionError
from statemachine_engine.actors.lint.examine import examine_text
from statemachine_engine.storage import masking
from tests.support.until import PATIENCE_S, until

MIB = 1024 * 1024


@dataclass
class Server:
    """A server on the loopback: what it was asked, and what it answers in turn; the last answer stays."""

    port: int = 0
    seen: list[dict[str, Any]] = field(default_factory=list)
    #: status, headers, body
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=lambda: [(200, {}, b"")])
    #: requests that are answered only when it is set
    hold: threading.Event | None = None
    gone: threading.Event = field(default_factory=threading.Event)
    running: ThreadingHTTPServer | None = None

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def answer(self, status: int, body: Any = b"", **headers: str) -> None:
        """Answer like this from now on; what is not bytes is sent as JSON."""
        self.answers = [made(status, body, headers)]

    def then(self, status: int, body: Any = b"", **headers: str) -> None:
        """And next like this."""
        self.answers.append(made(status, body, headers))


def made(status: int, body: Any, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    if isinstance(body, bytes):
        return status, names, body
    return status, {"Content-Type": "application/json", **names}, json.dumps(body).encode()


def handler_of(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.seen.append({"method": self.command, "path": self.path, "headers": headers, "body": body})
            if server.hold is not None:
                self.connection.settimeout(PATIENCE_S)
                if self.connection.recv(1) == b"":  # the client has closed the connection
                    server.gone.set()
                return
            status, headers, body = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = handle_any  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


class Quiet(ThreadingHTTPServer):
    """A client that breaks off is no trouble."""

    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    yield from serving(Server())


@pytest.fixture
def other() -> Iterator[Server]:
    """A server of another origin."""
    yield from serving(Server())


def serving(server: Server) -> Iterator[Server]:
    with Quiet(("127.0.0.1", 0), handler_of(server)) as running:
        server.port, server.running = running.server_port, running
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        running.shutdown()
        thread.join(PATIENCE_S)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that takes connections, for answers that no server would give."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(PATIENCE_S)
        yield sock


def answering(listener: socket.socket, raw: bytes) -> str:
    """Answer one connection with these bytes; the URL for it."""

    def answer() -> None:
        client, _ = listener.accept()
        with client:
            client.recv(65536)
            client.sendall(raw)

    threading.Thread(target=answer, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/"


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(masking, "_forms", set())
    monkeypatch.setattr(masking, "_pattern", None)
    masking.mask("open-sesame")
    return "open-sesame"


# What is sent


def test_a_get_stores_status_headers_json_and_text(bench, server):
    server.answer(200, {"total": 42}, X_Kind="report")

    assert bench.run("http_request", url=server.url("/report?day=1")) == "success"
    stored = bench.context["http_response"]
    assert (stored["status"], stored["json"], stored["text"]) == (200, {"total": 42}, '{"total": 42}')
    assert stored["headers"]["x-kind"] == "report"
    assert (server.seen[0]["method"], server.seen[0]["path"]) == ("GET", "/report?day=1")
    assert "content-type" not in server.seen[0]["headers"]


@pytest.mark.parametrize("method", ["GET", "head", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_each_method_is_sent(bench, server, method):
    assert bench.run("http_request", url=server.url(), method=method) == "success"
    assert server.seen[0]["method"] == method.upper()


@pytest.mark.parametrize("value", [{"a": [1, 2.5, True, None, "ü"]}, [], "text", 7, False, None])
def test_json_keeps_its_types_and_makes_it_a_post(bench, server, value):
    bench.run("http_request", url=server.url(), json=value)

    assert json.loads(server.seen[0]["body"]) == value
    assert server.seen[0]["method"] == "POST"
    assert server.seen[0]["headers"]["content-type"] == "application/json"


def test_a_body_is_text_and_a_header_overrides_its_type(bench, server):
    bench.run("http_request", url=server.url(), body="grüße")
    bench.run("http_request", url=server.url(), body="<a/>", method="PUT", headers={"Content-Type": "text/xml"})

    assert server.seen[0]["body"].decode() == "grüße"
    assert server.seen[0]["headers"]["content-type"] == "text/plain; charset=utf-8"
    assert (server.seen[1]["method"], server.seen[1]["headers"]["content-type"]) == ("PUT", "text/xml")


def test_headers_are_text_and_null_leaves_one_out(bench, server):
    bench.run("http_request", url=server.url(), headers={"X-Count": 3, "X-None": None, "User-Agent": "mine"})

    assert server.seen[0]["headers"]["x-count"] == "3"
    assert "x-none" not in server.seen[0]["headers"]
    assert server.seen[0]["headers"]["user-agent"] == "mine"


def test_values_of_the_machine_are_filled_in_and_keep_their_types(start, server):
    server.answer(200, {"id": 7})
    machine = start(
        """
        initial_state: calling
        transitions: [{from: calling, to: done, event: answered}]
        actions:
          calling:
            - type: http_request
              url: "{base}/items/{item}?q={item}"
              headers: {X-Key: "key {key}"}
              json: {count: "{count}", tags: "{tags}", text: "n={count}"}
              store_as: answer
              success: answered
        """,
        base=server.url("/v1"),
        item="a/b & ü",
        key="k1",
        count=3,
        tags=["x"],
    )

    machine.wait_for("done", PATIENCE_S)
    assert machine.context["answer"]["json"] == {"id": 7}
    seen = server.seen[0]
    assert seen["path"] == "/v1/items/a%2Fb%20%26%20%C3%BC?q=a%2Fb%20%26%20%C3%BC"
    assert seen["headers"]["x-key"] == "key k1"
    assert json.loads(seen["body"]) == {"count": 3, "tags": ["x"], "text": "n=3"}


def test_store_is_another_word_for_store_as(bench, server):
    bench.run("http_request", url=server.url(), store="answer")
    assert bench.context["answer"]["status"] == 200


def test_a_proxy_of_the_environment_is_not_used(bench, server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert bench.run("http_request", url=server.url()) == "success"


def test_it_loads_the_http_client_only_when_it_runs():
    code = """
import sys
import statemachine_engine.cli.run
from statemachine_engine.actors.actions.registry import builtin
builtin("http_request")
assert "statemachine_engine.actors.actions.http_exchange" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# What comes back


@pytest.mark.parametrize(
    ("kind", "body", "text", "parsed"),
    [
        ("application/problem+json; charset=utf-8", b'{"a": 1}', '{"a": 1}', {"a": 1}),
        ("text/plain", b'{"a": 1}', '{"a": 1}', None),
        ("text/plain; charset=iso-8859-1", b"gr\xfc\xdfe", "grüße", None),
        ("text/plain; charset=punycode", b"plain", "plain", None),
        ("application/octet-stream", b"\xff\x00", "\ufffd\x00", None),
        ("application/json", b"", "", None),
    ],
)
def test_the_content_type_decides_about_text_and_json(bench, server, kind, body, text, parsed):
    server.answer(200, body, Content_Type=kind)

    bench.run("http_request", url=server.url())
    assert (bench.context["http_response"]["text"], bench.context["http_response"]["json"]) == (text, parsed)


def test_a_header_that_comes_twice_is_joined(bench, listener):
    url = answering(listener, b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n")

    bench.run("http_request", url=url)
    assert bench.context["http_response"]["headers"]["x-a"] == "1, 2"


def test_json_that_is_none_is_an_error(bench, server):
    server.answer(200, b"<html>", Content_Type="application/json")
    with pytest.raises(ActionError, match="says that it is JSON, and is not"):
        bench.run("http_request", url=server.url())


def test_an_answer_of_one_mebibyte_is_taken_and_a_larger_one_is_an_error(bench, server):
    server.answer(200, b"x" * MIB)
    bench.run("http_request", url=server.url())
    assert len(bench.context["http_response"]["text"]) == MIB

    server.answer(200, b"x" * (MIB + 1))
    with pytest.raises(ActionError, match="larger than 1 MiB"):
        bench.run("http_request", url=server.url())
    assert bench.context["http_response"] is None


def test_an_answer_without_end_is_an_error(bench, listener):
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    url = answering(listener, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + 32 * chunk)
    with pytest.raises(ActionError, match="larger than 1 MiB"):
        bench.run("http_request", url=url)


# Failures


@pytest.mark.parametrize("status", [300, 400, 404, 429, 500, 503])
def test_a_bad_status_is_a_failure_that_says_what_was_answered(bench, server, status):
    server.answer(status, {"detail": "no such report"})
    action = bench.make("http_request", url=server.url("/report?token=t0"), error="refused")

    assert action.execute(bench.context) == "refused"
    assert action.failed_of == status
    assert f"GET {server.url('/report')} answered {status} " in bench.context["last_error"]
    assert '{"detail": "no such report"}' in bench.context["last_error"]
    assert "t0" not in bench.context["last_error"]
    assert bench.context["last_error_action"] == "http_request"
    assert bench.context["http_response"]["json"] == {"detail": "no such report"}


def test_304_is_no_failure(bench, server):
    server.answer(304)
    assert bench.run("http_request", url=server.url(), headers={"If-None-Match": '"1"'}) == "success"


def test_a_host_that_cannot_exist_is_refused(bench):
    with pytest.raises(ActionError, match="cannot exist"):
        bench.run("http_request", url=f"http://{'a' * 64}.example/")


def test_a_server_that_is_not_there_is_a_connection_error(bench, listener):
    port = listener.getsockname()[1]
    listener.close()
    with pytest.raises(HttpUnreachable, match="refused") as caught:
        bench.run("http_request", url=f"http://127.0.0.1:{port}/")
    assert isinstance(caught.value, ConnectionError)


def test_a_name_that_does_not_exist_is_a_connection_error(bench, monkeypatch):
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)  # no test asks a real name server
    with pytest.raises(ConnectionError, match="http://nowhere.invalid/ cannot be reached"):
        bench.run("http_request", url="http://nowhere.invalid/")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nx",
    ],
    ids=["nothing", "no HTTP", "cut off", "cut off in a chunk"],
)
def test_an_answer_that_is_none_or_breaks_off_is_a_connection_error(bench, listener, raw):
    with pytest.raises(ConnectionError):
        bench.run("http_request", url=answering(listener, raw))


def test_https_to_a_server_without_it_is_a_connection_error(bench, server):
    with pytest.raises(ConnectionError):
        bench.run("http_request", url=server.url().replace("http:", "https:"))


def test_the_time_limit_ends_the_connection_and_is_a_timeout(bench, server):
    server.hold = threading.Event()
    with pytest.raises(HttpTooLate, match=r"did not answer within 0\.2 s") as caught:
        bench.run("http_request", url=server.url(), timeout="200ms")
    assert isinstance(caught.value, TimeoutError)
    assert server.gone.wait(PATIENCE_S)


@pytest.mark.parametrize("timeout", [0, -1, "soon"])
def test_a_time_limit_that_is_none_is_refused(bench, server, timeout):
    with pytest.raises(ActionError, match="'timeout'"):
        bench.run("http_request", url=server.url(), timeout=timeout)


def test_cancelled_it_closes_the_connection_and_ends_at_once(bench, server):
    server.hold = threading.Event()
    threading.Thread(target=lambda: (until(lambda: server.seen), bench.services.cancel.cancel()), daemon=True).start()

    with pytest.raises(Cancelled):
        bench.run("http_request", url=server.url(), timeout="1h")
    assert server.gone.wait(PATIENCE_S)
    assert bench.services.cancel.heard
    until(lambda: not any(thread.name.startswith("http 127") for thread in threading.enumerate()))


def test_a_transition_that_leaves_the_state_ends_it(start, server):
    server.hold = threading.Event()
    machine = start(
        """
        initial_state: calling
        transitions:
          - {from: calling, to: done, event: success}
          - {from: "*", to: stopped, event: stop}
        actions: {calling: [{type: http_request, url: "{url}", timeout: 1h}]}
        """,
        url=server.url(),
    )
    until(lambda: server.seen)
    machine.send("stop")

    machine.wait_for("stopped", PATIENCE_S)
    assert server.gone.wait(PATIENCE_S)


RETRYING = """
    initial_state: calling
    transitions:
      - {from: calling, to: done, event: success}
      - {from: calling, to: given_up, event: error}
    actions:
      calling:
        - {type: http_request, url: "{url}", timeout: 300ms, retry: {max: 2, delay: 0, on: %s}}
"""


def test_retry_tries_a_status_that_it_names_again(start, server):
    server.answer(503)
    server.then(429)
    server.then(200, {"total": 42})

    machine = start(RETRYING % "[429, 503]", url=server.url())
    machine.wait_for("done", PATIENCE_S)
    assert len(server.seen) == 3


def test_retry_leaves_a_status_that_it_does_not_name(start, server):
    server.answer(404, b"no such page")

    machine = start(RETRYING % "[429, 503, ConnectionError]", url=server.url())
    machine.wait_for("given_up", PATIENCE_S)
    assert len(server.seen) == 1
    assert "answered 404 Not Found: no such page" in machine.context["last_error"]


@pytest.mark.parametrize("name", ["timeout", "TimeoutError", "HttpTooLate"])
def test_retry_names_the_time_limit(start, server, name):
    server.hold = threading.Event()

    start(RETRYING % name, url=server.url()).wait_for("given_up", PATIENCE_S)
    assert len(server.seen) == 3


def test_retry_names_a_broken_connection(start, listener, journal):
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    listener.close()

    start(RETRYING % "ConnectionError", url=url).wait_for("given_up", PATIENCE_S)
    until(lambda: len(list(journal.of("action_retry"))) == 2)


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_redirect_is_followed_with_the_headers(bench, server, status, method):
    server.answer(status, Location="/new?a=1")
    server.then(200, b"here")

    assert bench.run("http_request", url=server.url(), method=method, headers={"Authorization": "k"}) == "success"
    assert [seen["path"] for seen in server.seen] == ["/", "/new?a=1"]
    assert [seen["headers"]["authorization"] for seen in server.seen] == ["k", "k"]


def test_another_host_gets_no_header_that_may_be_a_key(bench, server, other):
    server.answer(302, Location=other.url("/x"))
    headers = {"Authorization": "k", "X-Api-Key": "k", "Cookie": "k", "Accept": "text/plain", "Host": "example.org"}

    assert bench.run("http_request", url=server.url(), headers=headers) == "success"
    assert set(other.seen[0]["headers"]) == {"accept", "accept-encoding", "host", "user-agent"}
    assert other.seen[0]["headers"]["host"] == f"127.0.0.1:{other.port}"


@pytest.mark.parametrize("config", [{"json": 1}, {"method": "DELETE"}, {"method": "GET", "body": "x"}])
def test_no_other_request_follows_one(bench, server, config):
    server.answer(307, Location="/new")

    assert bench.run("http_request", url=server.url(), **config) == "error"
    assert len(server.seen) == 1
    assert "answered 307 Temporary Redirect, which is not followed" in bench.context["last_error"]


def test_five_redirects_are_followed_and_a_sixth_is_not(bench, server):
    server.answers = [made(302, b"", {"Location": "/"})] * 5 + [made(200, b"", {})]
    assert bench.run("http_request", url=server.url()) == "success"

    server.answer(302, Location="/")
    server.seen.clear()
    with pytest.raises(ActionError, match="redirects more than 5 times"):
        bench.run("http_request", url=server.url())
    assert len(server.seen) == 6


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/", "http://me:pw@127.0.0.1/", "http://[", "file:///x"])
def test_a_redirect_to_a_bad_url_is_refused(bench, server, location):
    server.answer(302, Location=location)
    with pytest.raises(ActionError, match="redirects to"):
        bench.run("http_request", url=server.url())


def test_no_redirect_leads_from_https_to_http():
    request = Request("GET", target_of("https://example.org/"), {}, None)
    answer = Answer(request.target, 302, "Found", {"location": "http://example.org/"}, b"")
    with pytest.raises(ActionError, match="from https to http"):
        redirected(request, answer)


# What is refused


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "'url' is required"),
        ({"url": "{nothing}/x"}, "no value for {nothing}"),
        ({"url": "ftp://example.org/"}, "begin with http"),
        ({"url": "example.org"}, "begin with http"),
        ({"url": "http:///x"}, "names no host"),
        ({"url": "http://a b/"}, "names no host"),
        ({"url": "http://[::1/"}, "is no URL"),
        ({"url": "http://a:99999/"}, "is no URL"),
        ({"url": "http://a/\r\nX: 1"}, "control character"),
        ({"url": "http://me:pw@a/"}, "user or password"),
        ({"url": "http://a/", "method": "CONNECT"}, "'method'"),
        ({"url": "http://a/", "headers": ["x"]}, "'headers'"),
        ({"url": "http://a/", "headers": {"a b": "x"}}, "no name of a header"),
        ({"url": "http://a/", "headers": {"Content-Length": 1}}, "set by the engine"),
        ({"url": "http://a/", "headers": {"Accept-Encoding": "gzip"}}, "set by the engine"),
        ({"url": "http://a/", "headers": {"x": "a\nb"}}, "value of x has a control character"),
        ({"url": "http://a/", "headers": {"x": "{key}"}}, "no value for {key}"),
        ({"url": "http://a/", "json": 1, "body": "x"}, "exclude each other"),
        ({"url": "http://a/", "json": float("nan")}, "JSON cannot hold"),
        ({"url": "http://a/", "body": {"a": 1}}, "use 'json'"),
        ({"url": "http://a/", "store_as": "event_data"}, "store_as"),
    ],
)
def test_a_bad_configuration_is_refused_before_anything_is_sent(bench, config, message):
    with pytest.raises(ActionError) as caught:
        bench.run("http_request", **config)
    assert message in str(caught.value)
    assert "pw" not in str(caught.value)


def test_secrets_do_not_show_in_errors(bench, server, listener, secret):
    beginning = "x" * 290
    server.answer(403, (beginning + secret).encode() * 2)
    bench.run("http_request", url=server.url(f"/{secret}?key={secret}"), headers={"Authorization": secret})
    assert "answered 403" in bench.context["last_error"]
    assert secret[:6] not in bench.context["last_error"]

    url = answering(listener, secret.encode() + b" what?\r\n")
    with pytest.raises(ConnectionError) as caught:
        bench.run("http_request", url=f"{url}{secret}")
    assert secret not in str(caught.value)


@pytest.fixture
def secure(server: Server, tmp_path: Path) -> Iterator[Path]:
    """The same server with TLS; the path of its certificate, which nobody vouches for."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    kind = ["-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run(["openssl", "req", *kind, "-keyout", key, "-out", cert], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    assert server.running is not None
    server.running.socket = context.wrap_socket(server.running.socket, server_side=True)
    http_exchange._tls.cache_clear()
    yield cert
    http_exchange._tls.cache_clear()


def test_https_needs_a_certificate_that_somebody_vouches_for(bench, server, secure, monkeypatch):
    url = server.url().replace("http:", "https:")
    with pytest.raises(ActionError, match="its certificate is refused") as caught:
        bench.run("http_request", url=url)
    assert not isinstance(caught.value, ConnectionError)

    http_exchange._tls.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(secure))
    server.answer(200, {"a": 1})
    assert bench.run("http_request", url=url, json={"b": 2}) == "success"
    assert bench.context["http_response"]["json"] == {"a": 1}
    assert server.seen[0]["body"] == b'{"b": 2}'


# statemachine-validate

LINTED = """
initial_state: calling
final: [done]
transitions: [{from: calling, to: done, event: success}, {from: calling, to: done, event: error}]
actions:
  calling:
    - {type: http_request, %s}
  done:
    - {type: log, message: "{http_response.status}"}
"""


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ("url: http://a/, headers: {A: b}, json: {a: 1}, method: put, timeout: 5s", []),
        ("url: http://a/, retry: {on: [429, 503, timeout, ConnectionError]}", []),
        ("method: GET", ["E010"]),
        ("url: http://a/, urll: x", ["W004"]),
        ("url: http://a/, timeout: soon", ["E015"]),
        ("url: http://a/, method: FETCH", ["E015"]),
        ("url: http://a/, headers: text", ["E015"]),
        ("url: http://a/, retry: {on: 7}", ["W023"]),
        ("url: http://a/, retry: {on: 700}", ["E015"]),
    ],
)
def test_the_linter_knows_its_keys(keys, found):
    assert [finding.code for finding in examine_text(LINTED % keys, "m.yaml").findings] == found
