"""An HTTP request and its answer: bounded in time and size, redirects by rule, given up at once when cancelled."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

from ...storage.masking import masked
from ..errors import ActionError
from .builtin import shortened
from .errors import HttpTooLate, HttpUnreachable

if TYPE_CHECKING:
    from ..concurrency.cancel_token import CancelToken

MOST_BYTES = 1024 * 1024
MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_PORTS = {"http": 80, "https": 443}
#: headers that tell nothing about the sender: the only ones that another host gets
_HARMLESS = ("accept", "accept-language", "user-agent")
_URL_MARKS = "%/:?&=+$,;@!~*'()[]"
_BAD_HOST = re.compile(r"[\x00-\x20\x7f\\<>\"^`{|}]")


@dataclass(frozen=True, slots=True)
class Target:
    """The place that a URL names."""

    scheme: str
    host: str
    port: int
    #: path and query as they are sent
    path: str
    url: str

    def __str__(self) -> str:
        """Return the URL for people: without its query, and with secrets masked."""
        return shortened(re.split(r"[?#]", masked(self.url), maxsplit=1)[0], 200)

    @property
    def origin(self) -> tuple[str, str, int]:
        """The parts of the URL that must be equal before headers are sent to a redirect."""
        return self.scheme, self.host, self.port


@dataclass(frozen=True, slots=True)
class Request:
    """A request to send. The names of its headers are lower-case."""

    method: str
    target: Target
    headers: Mapping[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, and the target that it came from."""

    target: Target
    status: int
    reason: str
    headers: dict[str, str]
    body: bytes


def target_of(url: str) -> Target:
    """Return the place that a URL names. Raises ActionError, which never repeats the URL."""
    if re.search(r"[\x00-\x1f\x7f]", url):
        raise ActionError("'url' has a control character, such as a line break")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ActionError("'url' is no URL: its host or port cannot be read") from error
    if parts.scheme not in _PORTS:
        raise ActionError("'url' has to begin with http:// or https://")
    if "@" in parts.netloc:
        raise ActionError("'url' must not name a user or password: send them in 'headers'")
    if not host or _BAD_HOST.search(parts.netloc):
        raise ActionError("'url' names no host")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    sent = quote(path, _URL_MARKS, errors="replace")
    return Target(parts.scheme, host, _PORTS[parts.scheme] if port is None else port, sent, url)


def exchange(request: Request, timeout_s: float, cancel: CancelToken) -> Answer:
    """Send the request, follow redirects and return the last answer.

    A thread of its own does it, since nothing interrupts the look-up of a name. Raises ActionError, HttpUnreachable,
    HttpTooLate, and Cancelled.
    """
    work = _Exchange(request, timeout_s)
    forget = cancel.on_cancel(work.over.set)
    try:
        threading.Thread(target=work.run, name=f"http {request.target.host}", daemon=True).start()
        work.over.wait(timeout_s)
    finally:
        forget()
        work.end()
    cancel.raise_if_cancelled()
    return work.result()


def redirected(request: Request, answer: Answer) -> Request | None:
    """Return the request that follows a redirect; None if the answer is none, or is not to be followed."""
    location = answer.headers.get("location")
    follows = request.method in ("GET", "HEAD") and request.body is None
    if answer.status not in _REDIRECTS or not location or not follows:
        return None
    try:
        target = target_of(urljoin(request.target.url, quote(location, _URL_MARKS + "#", encoding="latin-1")))
    except ValueError as error:
        raise ActionError(f"{request.target} redirects to what is no URL") from error
    except ActionError as error:
        raise ActionError(f"{request.target} redirects to a URL that is refused: {error}") from error
    if (request.target.scheme, target.scheme) == ("https", "http"):
        raise ActionError(f"{request.target} redirects from https to http, which is not followed")
    same = target.origin == request.target.origin
    kept = {name: value for name, value in request.headers.items() if same or name in _HARMLESS}
    return replace(request, target=target, headers=kept)


# Helpers


class _Exchange:
    """A request under way in a thread of its own; `end` cuts its connection and forbids another one."""

    def __init__(self, request: Request, timeout_s: float) -> None:
        self.over = threading.Event()
        self._request = request
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._ended = False
        # A second descriptor of the connection, so that no other thread closes the one that `end` shuts down.
        self._handle: socket.socket | None = None
        self._answer: Answer | None = None
        self._error: Exception | None = None

    def run(self) -> None:
        """Work until there is an answer or an error; the thread's top."""
        try:
            self._answer = self._followed()
        except Exception as error:  # noqa: BLE001 - `result` raises it in the thread that waits
            self._error = error
        finally:
            self.over.set()

    def end(self) -> None:
        """Cut the connection, if there still is one; in the thread that waits."""
        with self._lock:
            self._ended = True
            if self._handle is not None:
                with suppress(OSError):  # the server was faster
                    self._handle.shutdown(socket.SHUT_RDWR)

    def result(self) -> Answer:
        """Return the answer or raise the error; without either the time is over."""
        if self._error is not None:
            raise self._error
        if self._answer is None:
            raise HttpTooLate(str(self._request.target), self._timeout_s)
        return self._answer

    def _followed(self) -> Answer:
        request = self._request
        for _ in range(MOST_REDIRECTS + 1):
            answer = self._sent(request)
            following = redirected(request, answer)
            if following is None:
                return answer
            request = following
        raise ActionError(f"{self._request.target} redirects more than {MOST_REDIRECTS} times")

    def _sent(self, request: Request) -> Answer:
        try:
            return self._exchanged(request)
        except ActionError:
            raise
        except TimeoutError as error:
            raise HttpTooLate(str(request.target), self._timeout_s) from error
        except ssl.SSLCertVerificationError as error:
            raise ActionError(f"{request.target}: its certificate is refused: {error.verify_message}") from error
        except UnicodeError as error:
            raise ActionError("'url' names a host that cannot exist") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise HttpUnreachable(str(request.target), shortened(masked(reason), 200)) from error

    def _exchanged(self, request: Request) -> Answer:
        target = request.target
        secure = target.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(target.host, target.port, timeout=self._timeout_s)
        try:
            connection.sock = self._connected(target)
            headers = {name: value.encode(errors="surrogatepass") for name, value in request.headers.items()}
            connection.request(request.method, target.path, request.body, headers)
            with connection.getresponse() as response:
                return _answer(target, response)
        finally:
            connection.close()
            with self._lock:
                handle, self._handle = self._handle, None
            if handle is not None:
                handle.close()

    def _connected(self, target: Target) -> socket.socket:
        sock = socket.create_connection((target.host, target.port), self._timeout_s)
        with self._lock:
            if self._ended:
                sock.close()
                raise TimeoutError
            self._handle = sock.dup()
        return _tls().wrap_socket(sock, server_hostname=target.host) if target.scheme == "https" else sock


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _answer(target: Target, response: http.client.HTTPResponse) -> Answer:
    body = response.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise ActionError(f"the answer of {target} is larger than 1 MiB")
    if response.length:
        raise http.client.HTTPException(f"the answer ended {response.length} bytes too early")
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        before = headers.get(name.lower())
        headers[name.lower()] = value if before is None else f"{before}, {value}"
    return Answer(target, response.status, response.reason, headers, body)
