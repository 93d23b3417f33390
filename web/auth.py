"""Checks before every request whether it is allowed."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from flask import Blueprint, Response, redirect, render_template, request

from .answers import Refused, reply
from .monitor import Monitor, the_monitor
from .settings import is_loopback

CSRF_HEADER = "X-CSRF-Token"
COOKIE_S = 30 * 86400

#: endpoints without a token: health checks and the login
OPEN = frozenset({"auth.login", "pages.health", "pages.ready", "pages.csp_report", "static"})
#: endpoints that hold a thread: no page of another site may open them, even if it could not read them
STREAMS = frozenset({"websocket", "websocket_events", "stream.server_sent_events"})
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

blueprint = Blueprint("auth", __name__)


class TokenMissing(Refused):
    """The request has no valid token."""

    def __init__(self) -> None:
        super().__init__(401, "the token is missing or wrong", "open /login?token=…, or send Authorization: Bearer …")


@blueprint.before_app_request
def check() -> None:
    """Refuse a foreign Host or Origin, a missing token, or a write that is not allowed."""
    monitor = the_monitor()
    _check_host(monitor)
    if request.method not in SAFE or request.endpoint in STREAMS:
        _check_origin(monitor)
    if request.endpoint not in OPEN:
        _check_token(monitor)
    if request.method not in SAFE and request.endpoint not in OPEN and request.routing_exception is None:
        _check_write(monitor)


@blueprint.get("/login")
def login() -> Response:
    """Take the token from the URL, and store a cookie that scripts cannot read."""
    monitor = the_monitor()
    token = monitor.settings.token
    if token is not None and not _equal(request.args.get("token", ""), token):
        raise Refused(403, "this is not the token", "statemachine-ui prints the address with it when it starts")
    answer = redirect("./", 303)
    if token is not None:
        answer.set_cookie(
            monitor.cookie_name, monitor.cookie_token, max_age=COOKIE_S, httponly=True, samesite="Strict",
            secure=request.is_secure,
        )  # fmt: skip
    assert isinstance(answer, Response)
    return answer


def who() -> str:
    """Return what is known of the sender, for the audit row."""
    if the_monitor().settings.token is None:
        return "local user"
    return "token" if _bearer() else "page"


# Helpers


@blueprint.app_errorhandler(TokenMissing)
def _ask_for_it(error: TokenMissing) -> Response:
    """Return a login form to a browser, and the reason to a program."""
    if request.endpoint == "pages.page" and request.accept_mimetypes.accept_html:
        answer = Response(render_template("login.html"), 401)
    else:
        answer = reply(error.as_dict(), 401)
    answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def _check_host(monitor: Monitor) -> None:
    name = urlsplit(f"//{request.host}").hostname or ""
    if not monitor.settings.knows(name):
        raise Refused(421, "this server is not known by that Host", "start it with --allow-host NAME if it should be")


def _check_origin(monitor: Monitor) -> None:
    """Refuse pages of other origins; requests without an Origin are not from a browser's page."""
    origin = request.headers.get("Origin")
    if origin is None:
        return
    site = urlsplit(origin)
    ours = {request.host, *_hosts_with_our_ports(monitor)}
    if site.scheme not in ("http", "https") or site.netloc.lower() not in ours:
        raise Refused(403, "a page of another origin may not do this")


def _hosts_with_our_ports(monitor: Monitor) -> set[str]:
    name = request.host.rpartition(":")[0] if not request.host.endswith("]") and ":" in request.host else request.host
    ports = (monitor.settings.port, monitor.settings.websocket_port)
    return {f"{name}:{port}".lower() for port in ports if port}


def _check_token(monitor: Monitor) -> None:
    token = monitor.settings.token
    if token is None:
        if not is_loopback(monitor.settings.host):
            raise Refused(403, "beyond this computer a token is needed", "start the server with --token")
        return
    if _bearer() and _equal(_bearer(), token):
        return
    if not _equal(request.cookies.get(monitor.cookie_name, ""), monitor.cookie_token):
        raise TokenMissing()


def _check_write(monitor: Monitor) -> None:
    if monitor.settings.read_only:
        raise Refused(403, "the monitor is read-only", "it was started with --read-only")
    if monitor.settings.token is not None and _bearer():
        return  # no foreign page can make a browser send this header
    if not _equal(request.headers.get(CSRF_HEADER, ""), monitor.csrf_token):
        raise Refused(403, f"the {CSRF_HEADER} header is missing or out of date", "/api/config has its value")


def _bearer() -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _equal(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
