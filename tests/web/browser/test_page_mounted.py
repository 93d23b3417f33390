"""The page where another application, or a proxy, serves it below a prefix."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.support.page import WATCH, seen
from tests.web.conftest import Site

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_a_page_below_a_prefix_asks_follows_and_writes_there(make_site: Callable[..., Site], browser: Browser) -> None:
    site = make_site(below="/tools/monitor", token="secret")
    site.start("worker")
    page = browser.new_page()
    page.add_init_script(WATCH)
    page.goto(f"http://127.0.0.1:{site.port}/tools/monitor/login?token=secret")

    expect(page.get_by_role("row", name="worker")).to_be_visible()
    assert page.url == f"http://127.0.0.1:{site.port}/tools/monitor/"
    site.move("worker", "waiting", "working")
    expect(page.get_by_role("row", name="worker")).to_contain_text("working")
    page.keyboard.press("j")
    page.get_by_role("button", name="Add a job").click()
    page.get_by_role("dialog").get_by_label("Type", exact=True).fill("resize")
    page.get_by_role("button", name="Add", exact=True).click()
    assert seen(lambda: page.locator("tbody tr").count()) == 1
    assert page.evaluate("page_errors") == []
    page.close()


def test_the_stream_is_where_the_prefix_is(make_site: Callable[..., Site]) -> None:
    site = make_site(below="/tools/monitor")
    assert (
        site.get("/tools/monitor/api/config")["websocket_url"] == f"ws://127.0.0.1:{site.port}/tools/monitor/ws/events"
    )
