"""The `http_request` action: sends an HTTP request, the answer becomes an event and a context value."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ...storage.masking import masked
from ...storage.strictjson import parse
from ..errors import ActionError
from ..jobs.job_context import with_params
from ..placeholders.interpolation import Placeholder, pieces_at, text_of
from .base import DURATION, MAPPING, Context
from .builtin import LONE_PLACEHOLDER, BuiltinAction, shortened

if TYPE_CHECKING:
    from .http_exchange import Answer, Request

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_DEFAULT_TIMEOUT_S = 30.0
_SHOWN_CHARS = 300
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
#: a wrong length makes two requests of one, and a packed answer could not be read
_OURS = ("content-length", "transfer-encoding", "connection", "accept-encoding")
_CHARSETS = ("utf-8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252", "utf-16")


class HttpRequestAction(BuiltinAction):
    """A status from 200 to 299, or 304, yields `success`; any other is a failure, as is no answer.

    The answer is a mapping of status, headers, json and text.
    """

    keys = {
        "url": "http:// or https:// address; a value in it is percent-encoded, one at its beginning is not",
        "method": "GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS (default: GET; POST with json or body)",
        "headers": "a map from header to value",
        "json": "any value, sent as JSON",
        "body": "text to send in place of json",
        "timeout": "time limit for all of it, redirects included (30 seconds)",
        "store_as": "context key for the answer (http_response)",
        "store": "the same as store_as",
        "success": "event for a status from 200 to 299, or 304 (success)",
        "error": "event for any other end (error)",
    }
    events = {"success": "success", "error": "error"}
    value_kinds = {"timeout": DURATION, "headers": MAPPING, "method": tuple(map(str.lower, METHODS))}
    takes_time = True
    required_keys = ("url",)
    same_as = {"store": "store_as"}
    stores = {"store_as": "http_response", "store": ""}
    raw_keys = frozenset({"url"})
    failure_codes = range(300, 600)

    def execute(self, context: Context) -> str | None:
        """Sends the request and waits for its answer."""
        from .http_exchange import exchange  # it loads http.client and ssl

        request = self._request(with_params(context, self.config.get("params")))
        timeout_s = self.duration_s("timeout", _DEFAULT_TIMEOUT_S)
        if timeout_s <= 0:
            raise ActionError("'timeout' has to be longer than 0")
        self._keep(context, None)  # no answer of an earlier request is taken for this one's
        answer = exchange(request, timeout_s, self.services.cancel)
        text = _text(answer)
        good = 200 <= answer.status < 300 or answer.status == 304
        value = {"status": answer.status, "headers": answer.headers, "json": _json(answer, text, good), "text": text}
        self._keep(context, value)
        return self.event("success", "success") if good else self._failed(request, answer, text, context)

    def _request(self, scope: Mapping[str, Any]) -> Request:
        from .http_exchange import Request, target_of

        target = target_of(_url(self._template(), scope))
        headers, body = self._headers(), self._body()
        if body is not None:
            kind = "application/json" if "json" in self.config else "text/plain; charset=utf-8"
            headers.setdefault("content-type", kind)
        headers.setdefault("user-agent", "statemachine-engine")
        method = (self.text("method") or ("GET" if body is None else "POST")).upper()
        if method not in METHODS:
            raise ActionError(f"'method' has to be one of {', '.join(METHODS)}")
        return Request(method, target, headers, body)

    def _template(self) -> str:
        if not self.text("url"):
            raise ActionError("'url' is required")
        return str(self.config["url"])

    def _headers(self) -> dict[str, str]:
        """Return the headers with lower-case names, without those whose value is null."""
        given = self.config.get("headers") or {}
        if not isinstance(given, Mapping):
            raise ActionError("'headers' has to be a mapping of names to values")
        headers = {}
        for name, value in given.items():
            text = "" if value is None else text_of(value).strip()
            if not _HEADER_NAME.fullmatch(str(name)):
                raise ActionError(f"'headers': {str(name)!r} is no name of a header")
            if str(name).lower() in _OURS:
                raise ActionError(f"'headers': {name} is set by the engine")
            if LONE_PLACEHOLDER.fullmatch(text):
                raise ActionError(f"'headers': there is no value for {text}")
            if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", text):  # not shown: it may be a secret
                raise ActionError(f"'headers': the value of {name} has a control character, such as a line break")
            if value is not None:
                headers[str(name).lower()] = text
        return headers

    def _body(self) -> bytes | None:
        body = self.config.get("body")
        if "json" not in self.config:
            if isinstance(body, (Mapping, list)):
                raise ActionError("'body' has to be text: use 'json' for data")
            return None if body is None else text_of(body).encode(errors="replace")
        if body is not None:
            raise ActionError("'json' and 'body' exclude each other")
        try:
            return json.dumps(self.config["json"], allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise ActionError("'json' has a value that JSON cannot hold") from error

    def _keep(self, context: Context, value: Any) -> None:
        self.store(context, "store_as" if self.text("store_as") else "store", "http_response", value)

    def _failed(self, request: Request, answer: Answer, text: str, context: Context) -> str:
        self.failed_of = answer.status
        what = f"{request.method} {answer.target} answered {answer.status} {masked(answer.reason)[:80]}".rstrip()
        if answer.status // 100 == 3:
            what += ", which is not followed"
        # Masked first: what is cut in the middle of a secret shows its beginning.
        beginning = shortened(" ".join(masked(text).split()), _SHOWN_CHARS)
        context["last_error"] = f"{what}: {beginning}" if beginning else what
        context["last_error_action"] = "http_request"
        self.logger.warning("[%s] %s", self.get_machine_name(context), context["last_error"])
        return self.event("error", "error")


def _url(template: str, scope: Mapping[str, Any]) -> str:
    """Return the URL with its values: one at the beginning as it is, any other as one part of the path or the query.

    Raises ActionError for a placeholder without a value.
    """
    url, at = "", 0
    while (brace := template.find("{", at)) >= 0:
        url += template[at:brace]
        pieces, at = pieces_at(template, brace) or (("{",), brace + 1)
        for piece in pieces:
            url += _part(piece, scope, alone=not url) if isinstance(piece, Placeholder) else piece
    return (url + template[at:]).strip()


def _part(placeholder: Placeholder, scope: Mapping[str, Any], *, alone: bool) -> str:
    text = placeholder.text(scope)
    if text is None:
        raise ActionError(f"'url': there is no value for {placeholder.source}")
    return text if alone or placeholder.raw else quote(text, "", errors="replace")


def _text(answer: Answer) -> str:
    found = re.search(r"charset=\"?([\w-]+)", answer.headers.get("content-type", ""))
    charset = found[1].lower() if found else "utf-8"
    return answer.body.decode(charset if charset in _CHARSETS else "utf-8", "replace")


def _json(answer: Answer, text: str, good: bool) -> Any:
    """Return the parsed text if the answer is marked as JSON, else None. A failure's text may be unparsable: None."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not text.strip() or not (kind == "application/json" or kind.endswith("+json")):
        return None
    try:
        return parse(text)
    except ValueError as error:
        if not good:
            return None
        raise ActionError(f"the answer of {answer.target} says that it is JSON, and is not: {error}") from error
