"""Answers in JSON, those to errors too."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from werkzeug.exceptions import HTTPException

from ..storage.errors import (
    JobExists,
    JobNotFound,
    PayloadTooLarge,
    ReadOnlyStore,
    StorageError,
    ValueRefused,
    WrongJobState,
)
from ..storage.payload import dumps

#: the status for each error of the database; the first match counts
STATUSES: tuple[tuple[type[StorageError], int], ...] = (
    (JobNotFound, 404),
    (JobExists, 409),
    (WrongJobState, 409),
    (PayloadTooLarge, 413),
    (ReadOnlyStore, 403),
    (ValueRefused, 400),
    (StorageError, 503),
)


blueprint = Blueprint("answers", __name__)


class Refused(Exception):
    """A request is refused with a status, a reason and perhaps a hint."""

    def __init__(self, status: int, reason: str, hint: str | None = None, **more: object) -> None:
        self.status, self.reason, self.hint, self.more = status, reason, hint, more
        super().__init__(reason)

    def as_dict(self) -> dict[str, object]:
        """The body of the answer."""
        return {"error": self.reason, **({"hint": self.hint} if self.hint else {}), **self.more}


def reply(value: Any, status: int = 200) -> Response:
    """Return the value as JSON; it never fails, whatever the value contains."""
    return Response(dumps(value) + "\n", status, mimetype="application/json")


def page_of(items: list[Any], next_cursor: int | None, **more: Any) -> Response:
    """Return a list, and the cursor of the next page."""
    return reply({"items": items, "next_cursor": next_cursor, **more})


# Helpers


@blueprint.app_errorhandler(Refused)
def _refused(error: Refused) -> Response:
    return reply(error.as_dict(), error.status)


@blueprint.app_errorhandler(StorageError)
def _storage_error(error: StorageError) -> Response:
    status = next(status for kind, status in STATUSES if isinstance(error, kind))
    return reply({"error": str(error)}, status)


@blueprint.app_errorhandler(HTTPException)
def _http_error(error: HTTPException) -> Response:
    answer = reply({"error": error.description or error.name}, error.code or 500)
    for name, value in error.get_headers():
        if name.lower() in ("allow", "location"):
            answer.headers[name] = value
    if 300 <= (error.code or 500) < 400 and error.get_response() is not None:
        answer.headers["Location"] = error.get_response().headers.get("Location", "/")
    return answer
