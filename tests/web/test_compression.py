"""The page's files, compressed for who takes that."""

from __future__ import annotations

import gzip
import http.client
from pathlib import Path

import pytest

from tests.web.conftest import Site

STATIC = Path(__file__).parents[2] / "web" / "static"


def ask(site: Site, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("name", ["vendor/mermaid.js", "style.css", "views/machine.js"])
def test_a_text_file_is_sent_compressed_and_asked_for_again_by_its_tag(site: Site, name: str) -> None:
    path, whole = f"/static/{name}", (STATIC / name).read_bytes()
    for _ in range(2):
        status, headers, body = ask(site, path, Accept_Encoding="gzip, br")
        assert (status, headers["content-encoding"], headers["vary"]) == (200, "gzip", "Accept-Encoding")
        assert gzip.decompress(body) == whole
        assert len(body) == int(headers["content-length"]) < 0.45 * len(whole)
        assert "Content-Security-Policy".lower() in headers
    status, again, body = ask(site, path, Accept_Encoding="gzip", If_None_Match=headers["etag"])
    assert (status, body, again["etag"].removeprefix("W/")) == (304, b"", headers["etag"].removeprefix("W/"))


@pytest.mark.parametrize("accepted", ["", "gzip;q=0", "br"])
def test_who_takes_no_gzip_gets_the_file_as_it_is(site: Site, accepted: str) -> None:
    status, headers, body = ask(site, "/static/style.css", Accept_Encoding=accepted)
    assert (status, headers.get("content-encoding"), headers["vary"]) == (200, None, "Accept-Encoding")
    assert body == (STATIC / "style.css").read_bytes()


def test_what_is_small_or_a_part_or_no_file_is_left_as_it_is(site: Site) -> None:
    assert "content-encoding" not in ask(site, "/static/icon.svg", Accept_Encoding="gzip")[1]
    status, headers, body = ask(site, "/static/style.css", Accept_Encoding="gzip", Range="bytes=0-9")
    assert (status, headers.get("content-encoding"), len(body)) == (206, None, 10)
    assert "content-encoding" not in ask(site, "/api/openapi.json", Accept_Encoding="gzip")[1]
    assert ask(site, "/static/../app.py", Accept_Encoding="gzip")[0] == 404
    assert ask(site, "/static/style.css", "HEAD", Accept_Encoding="gzip")[1]["content-encoding"] == "gzip"
