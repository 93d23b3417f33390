"""The page, the headers of every answer, and the checks for watchdogs."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, render_template, request

from ..storage.names import escaped
from .answers import reply
from .monitor import the_monitor

#: the page may load only its own files, and nothing inline
CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self' ws://{host} wss://{host}",
        "manifest-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "report-uri csp-report",
    )
)

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

LONGEST_REPORT = 10_000

blueprint = Blueprint("pages", __name__)


@blueprint.after_app_request
def protect(response: Response) -> Response:
    """Add the headers that make browsers refuse everything that the page does not need."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Content-Security-Policy", CSP.format(host=_own_host()))
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-cache" if request.endpoint == "static" else "no-store"
    return response


@blueprint.get("/")
def page() -> str:
    """The monitor."""
    return render_template("monitor.html")


@blueprint.get("/health")
def health() -> Response:
    """Report that the server lives; the keys are those of older engines."""
    feed = the_monitor().feed
    last = feed.last_event_s
    return reply(
        {
            "status": "ok",
            "connections": feed.clients,
            "last_event_time": last,
            "seconds_since_last_event": None if last is None else max(0.0, the_monitor().now() - last),
            "unix_socket_active": feed.has_event_socket,
        }
    )


@blueprint.get("/ready")
def ready() -> Response:
    """Report whether the database can be read and the feed follows it; 503 if not."""
    feed = the_monitor().feed
    feed.start()
    problem = feed.problem or ("the feed has ended" if feed.stopped.is_set() else None)
    if problem is None and not feed.ready.is_set():
        problem = "the feed is reading the past"
    return reply({"ready": problem is None, "error": problem}, 200 if problem is None else 503)


@blueprint.post("/csp-report")
def csp_report() -> tuple[str, int]:
    """Count what browsers had to refuse; a test reads the number."""
    reports = current_app.config.setdefault("csp_reports", [])
    if len(reports) < 100:
        reports.append(request.get_data(cache=False, as_text=True)[:LONGEST_REPORT])
        current_app.logger.warning("a browser refused something on the page: %s", escaped(reports[-1][:500]))
    return "", 204


# Helpers


def _own_host() -> str:
    """Return the request's host, if it contains nothing that could end the directive."""
    host = request.host
    return host if all(char.isalnum() or char in ".:-[]" for char in host) else "'none'"
