"""Compresses the page's files; each is compressed once, at the first request."""

from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path

from flask import Blueprint, Response, current_app, request

#: smallest file in bytes that is compressed
LEAST = 1024

#: more files than the page has
MOST_FILES = 200

blueprint = Blueprint("compression", __name__)


@blueprint.after_app_request
def compress(response: Response) -> Response:
    """Compress a whole text file of the static folder for clients that accept gzip; its tag becomes weak."""
    if request.endpoint != "static" or response.status_code != 200 or not _is_worth_it(response):
        return response
    response.vary.add("Accept-Encoding")
    tag, _ = response.get_etag()
    if request.accept_encodings.quality("gzip") <= 0 or tag is None:
        return response
    path = Path(str(current_app.static_folder), (request.view_args or {})["filename"])
    response.close()  # closes the file
    response.direct_passthrough = False
    response.set_data(_gzipped(path, tag))
    response.set_etag(tag, weak=True)
    response.content_encoding = "gzip"
    response.headers.pop("Accept-Ranges", None)
    return response


# Helpers


def _is_worth_it(response: Response) -> bool:
    kind = response.mimetype or ""
    is_text = kind.startswith("text/") or kind.endswith(("javascript", "json", "xml"))
    return is_text and (response.content_length or 0) >= LEAST


@lru_cache(maxsize=MOST_FILES)
def _gzipped(path: Path, _tag: str) -> bytes:
    """Return the compressed file; the tag changes with the file."""
    return gzip.compress(path.read_bytes())
