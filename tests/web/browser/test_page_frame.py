"""All views: keys, themes, small screens, a lost server, hostile text."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from statemachine_engine import Runtime
from statemachine_engine.storage import jobs
from tests.support.page import Monitor, seen
from tests.support.until import until

HOSTILE = '<img src=x onerror="page_errors.push(1)"><script>page_errors.push(2)</script>\'"><b>bold</b>'

VIEWS = ("#/", "#/machines/plain", "#/board", "#/jobs", "#/jobs/first", "#/activity")


@pytest.fixture
def plain(monitor: Monitor) -> Monitor:
    """A machine, a job and a page's server."""
    monitor.write(
        "plain.yaml",
        "initial_state: here\nstates: [here, there]\nevents: [go]\ntransitions: [{from: here, to: there, event: go}]\n"
        "actions: {there: [{type: log, message: arrived}]}\n",
    )
    jobs.enqueue(monitor.db, "first", "demo", data={"a": 1})
    monitor.serve()
    monitor.run("plain.yaml")
    monitor.project.until_state("plain", "here")
    return monitor


def test_keys_lead_to_the_views(plain: Monitor) -> None:
    page = plain.open()
    expect(page.get_by_role("heading", level=1)).to_have_text("Machines")
    for key, heading in (("k", "Board"), ("j", "Jobs"), ("a", "Activity"), ("o", "Machines")):
        page.keyboard.press(key)
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    page.keyboard.press("/")
    page.keyboard.type("k")
    expect(page.get_by_label("Search machines")).to_have_value("k")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Keyboard shortcuts")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_machine_is_reached_and_controlled_by_keyboard_alone(plain: Monitor) -> None:
    page = plain.open()
    expect(page.get_by_role("row", name="plain")).to_be_visible()
    page.get_by_label("Search machines").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".node.lit")).to_have_attribute("data-state", "here")
    page.get_by_role("button", name="go → there").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".node.lit")).to_have_attribute("data-state", "there")


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_fits_360_px_and_is_dark_for_those_who_want_it(plain: Monitor, view: str) -> None:
    page = plain.open(view, viewport={"width": 360, "height": 740}, color_scheme="dark")
    expect(page.get_by_role("heading", level=1).first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert brightness(page.evaluate("getComputedStyle(document.documentElement).backgroundColor")) < 60
    assert brightness(page.evaluate("getComputedStyle(document.querySelector('h1')).color")) > 180


def test_a_chosen_theme_outlives_a_reload(plain: Monitor) -> None:
    page = plain.open(color_scheme="light")
    page.get_by_role("button", name="Light or dark").click()
    page.reload()
    expect(page.get_by_role("row", name="plain")).to_be_visible()
    assert brightness(page.evaluate("getComputedStyle(document.documentElement).backgroundColor")) < 60


def test_a_lost_server_is_admitted_and_what_was_missed_is_shown_once(plain: Monitor) -> None:
    page = plain.open("#/activity")
    expect(page.locator(".connection")).to_have_text("live")
    page.evaluate("monitor.ids = monitor.store.events.map(({ id }) => id)")
    plain.happen(*[("plain", "activity_log", {"message": f"before {n}"}) for n in range(10)])
    expect(page.get_by_text("before 9", exact=True)).to_be_visible()
    plain.stop()
    expect(page.get_by_role("alert")).to_contain_text("Showing data of")
    plain.happen(*[("plain", "activity_log", {"message": f"meanwhile {n}"}) for n in range(1500)])
    plain.serve()
    expect(page.get_by_text("meanwhile 1499", exact=True)).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    plain.happen(("plain", "activity_log", {"message": "afterwards"}))
    expect(page.get_by_text("afterwards", exact=True)).to_be_visible()
    told = page.evaluate("monitor.store.events.map(({ payload }) => payload.message)")
    expected = [f"before {n}" for n in range(10)] + [f"meanwhile {n}" for n in range(1500)] + ["afterwards"]
    assert [message for message in told if message in set(expected)] == expected


def test_activity_is_filtered_paused_and_exported(plain: Monitor) -> None:
    page = plain.open("#/activity")
    plain.happen(("plain", "error", {"error_message": "out of paper"}))
    plain.happen(("plain", "activity_log", {"message": "all well"}))
    expect(page.get_by_text("all well")).to_be_visible()
    page.get_by_role("button", name="Errors").click()
    expect(page.get_by_text("all well")).to_have_count(0)
    expect(page.get_by_text("out of paper")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    plain.happen(("plain", "error", {"error_message": "out of ink"}))
    expect(page.get_by_role("button", name="Resume, 1 new")).to_be_visible()
    expect(page.get_by_text("out of ink")).to_have_count(0)
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("out of ink")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    lines = [json.loads(line) for line in download.value.path().read_text().splitlines()]
    assert [line["payload"]["error_message"] for line in lines] == ["out of ink", "out of paper"]


def test_a_message_for_the_page_from_the_shell_is_shown(plain: Monitor) -> None:
    page = plain.open("#/activity")
    payload = json.dumps({"message": "deployed version 7", "level": "success"})
    plain.project.shell(f"statemachine-db send-event --target ui --type activity_log --payload '{payload}'")
    line = page.locator(".event-row.level-success")
    expect(line).to_contain_text("deployed version 7")


def test_hostile_text_is_shown_as_text_wherever_it_can_come_from(monitor: Monitor) -> None:
    monitor.write("evil.yaml", json.dumps(EVIL))
    jobs.enqueue(monitor.db, HOSTILE, HOSTILE, data={HOSTILE: HOSTILE})
    jobs.fail(monitor.db, HOSTILE, HOSTILE)
    with Runtime(monitor.db, sockets=False) as runtime:
        machine = runtime.add(monitor.folder / "evil.yaml", HOSTILE_NAME)
        machine.send(HOSTILE, {HOSTILE: HOSTILE})
        until(lambda: machine.status == "failed")
        noise = dict.fromkeys(KEYS, HOSTILE)
        monitor.happen(*[(name, type, noise) for name in (HOSTILE_NAME, HOSTILE) for type in (*TYPES, HOSTILE)])
        monitor.serve()
        look_everywhere(monitor)


def look_everywhere(monitor: Monitor) -> None:
    page = monitor.open()
    page.locator(".machine-row.failed").click()
    expect(page.locator(".node.lit")).to_be_visible()
    page.get_by_role("button", name="Groups only").click()
    expect(page.locator(".node-group.lit")).to_be_visible()
    for tab in ("Log", "Errors", "Timeline"):
        page.get_by_role("tab", name=tab).click()
        expect(page.locator(".event-row, .move").first).to_be_visible()
    for address in ("#/board", "#/jobs", "#/activity"):
        page.goto(monitor.url + address)
        seen(lambda: "<" in page.inner_text("main"))
    page.locator(".event-row").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("<script>")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.locator(".job-link").click()
    expect(page.locator(".job-detail")).to_contain_text("<script>")
    assert page.locator("main img, main script, main b b").count() == 0
    assert monitor.page_errors() == []


#: a machine's name may hold no slash
HOSTILE_NAME = '<img src=x onerror="page_errors.push(3)">'

EVIL = {
    "name": HOSTILE,
    "description": HOSTILE,
    "initial_state": "start here",
    "final": [],
    "states": ["start here", HOSTILE],
    "state_groups": {HOSTILE: [HOSTILE]},
    "events": [HOSTILE, "more"],
    "transitions": [
        {"from": "start here", "to": HOSTILE, "event": HOSTILE},
        {"from": HOSTILE, "to": HOSTILE, "event": "more"},
    ],
    "actions": {
        HOSTILE: [{"type": "log", "message": HOSTILE}, {"type": "bash", "command": "echo '<b>' >&2; exit 1"}],
    },
    "on_error": {"tries": 1},
}

TYPES = (
    "activity_log",
    "error",
    "machine_failed",
    "unhandled",
    "job_started",
    "job_completed",
    "job_failed",
    "control",
)
KEYS = (
    "message", "level", "error_message", "event", "state", "job_id", "job_type", "action", "target", "by", "from_state",
    "to_state", "event_trigger", "outcome", "source", "address",
)  # fmt: skip


def brightness(color: str) -> float:
    """0 to 255, of rgb(r, g, b)."""
    numbers = [float(part) for part in color[color.index("(") + 1 : -1].split(",")[:3]]
    return sum(numbers) / 3


def test_an_open_page_can_still_write_after_its_server_was_restarted(plain: Monitor) -> None:
    """The token for writes is made up at each start; the page asks for it as it comes back, and where it is refused."""
    page = plain.open("#/jobs")
    refused: list[str] = []
    page.on("response", lambda answer: refused.append(answer.url) if answer.status == 403 else None)
    for name, hinders, refusals in (("second", False, 0), ("third", True, 1)):
        if hinders:
            page.route("**/api/config", lambda route: route.abort())
        token = page.evaluate("monitor.store.config.csrf_token")
        plain.stop()
        expect(page.locator(".banner")).to_contain_text("Disconnected")
        plain.serve()
        expect(page.locator(".banner")).to_have_count(0)
        if not hinders:
            seen(lambda token=token: page.evaluate("monitor.store.config.csrf_token") != token)
        page.unroute("**/api/config")
        page.get_by_role("button", name="Add a job").click()
        page.get_by_role("textbox", name="Type", exact=True).fill("demo")
        page.get_by_role("textbox", name="Id", exact=True).fill(name)
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_text(f"Job {name} added")).to_be_visible()
        assert len(refused) == refusals


def test_a_past_that_could_not_be_fetched_is_fetched_with_the_next_list(plain: Monitor) -> None:
    page = plain.open("#/activity")
    expect(page.locator(".event-row").first).to_be_visible()
    page.route("**/api/events*", lambda route: route.abort())
    page.reload()
    expect(page.get_by_text("Nothing happened yet")).to_be_visible()
    expect(page.locator(".connection")).to_have_text("live")
    page.unroute("**/api/events*")
    page.evaluate("monitor.stream.refresh()")
    expect(page.locator(".event-row").first).to_be_visible()
