"""A machine's page: its diagram moves with it, its past can be replayed, and it can be told what to do."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.support.page import Monitor, seen
from tests.support.until import slowed

LAMP = """
name: Lamp
initial_state: dark
states:
  # === OFF ===
  - dark
  # === ON ===
  - dim
  - bright
  # === GONE ===
  - broken
events: [more, less, smash]
transitions:
  - {from: dark, to: dim, event: more}
  - {from: dim, to: bright, event: more}
  - {from: bright, to: dim, event: less}
  - {from: dim, to: dark, event: less}
  - {from: "*", to: broken, event: smash}
actions:
  bright:
    - {type: log, message: "It is bright: {event_data.payload.why|default:nobody}", level: success}
"""


def send(monitor: Monitor, event: str, payload: str = "{}") -> None:
    monitor.project.shell(f"statemachine-db send-event --target lamp --type {event} --payload '{payload}'")


def start(monitor: Monitor) -> None:
    monitor.write("lamp.yaml", LAMP)
    monitor.serve()
    monitor.run("lamp.yaml")
    monitor.project.until_state("lamp", "dark")


def test_a_machine_that_starts_and_moves_is_seen_in_the_overview(monitor: Monitor) -> None:
    monitor.serve()
    page = monitor.open()
    expect(page.get_by_text("No machines yet")).to_be_visible()
    monitor.write("lamp.yaml", LAMP)
    monitor.run("lamp.yaml")
    row = page.get_by_role("row", name="lamp")
    expect(row).to_contain_text("dark")
    expect(row).to_contain_text("running")
    send(monitor, "more")
    expect(row).to_contain_text("dim")


def test_a_wide_diagram_is_readable_at_360_px_and_fits_when_asked(monitor: Monitor) -> None:
    ways = "".join(f"  - {{from: choosing, to: state_of_number_{n}, event: way_{n}}}\n" for n in range(8))
    monitor.write("wide.yaml", f"initial_state: choosing\ntransitions:\n{ways}")
    monitor.serve()
    monitor.run("wide.yaml")
    monitor.project.until_state("wide", "choosing")
    page = monitor.open("#/machines/wide", viewport={"width": 360, "height": 740})
    expect(page.locator(".node.lit")).to_be_visible()
    pane = "document.querySelector('.diagram-pane')"

    seen(lambda: page.evaluate(f"{pane}.scrollWidth > {pane}.clientWidth"))
    page.get_by_role("button", name="Fit").click()
    seen(lambda: page.evaluate(f"{pane}.scrollWidth <= {pane}.clientWidth"))


def test_the_diagram_lights_the_state_and_counts_the_way_to_it(monitor: Monitor) -> None:
    start(monitor)
    page = monitor.open("#/machines/lamp")
    expect(page.locator(".node.lit")).to_have_attribute("data-state", "dark")
    send(monitor, "more")
    expect(page.locator(".node.lit")).to_have_attribute("data-state", "dim")
    expect(page.locator(".edge.lit")).to_have_count(1)
    expect(page.locator(".edge.lit")).to_contain_text("more ×1")
    assert page.locator(".edge.lit .runner").count() == 1


def test_wildcard_edges_come_on_demand_and_groups_open(monitor: Monitor) -> None:
    start(monitor)
    page = monitor.open("#/machines/lamp")
    expect(page.locator('.node[data-state="bright"]')).to_be_visible()
    expect(page.locator('.node[data-state="broken"]')).to_have_count(0)
    page.get_by_role("button", name="From any state").click()
    expect(page.locator(".edge.wild")).to_contain_text("smash")
    page.get_by_role("button", name="Groups only").click()
    expect(page.locator(".node", has_text="GONE")).to_have_text("GONE1 state")
    group = page.get_by_role("button", name="ON 2 states: open the group")
    group.focus()
    page.keyboard.press("Enter")
    expect(page.locator('.node[data-state="bright"]')).to_be_visible()
    expect(page.locator(".node-outside")).to_have_count(1)
    page.get_by_role("button", name="Whole machine").click()
    expect(group).to_be_visible()


def test_an_event_sent_from_the_page_changes_the_state(monitor: Monitor) -> None:
    start(monitor)
    page = monitor.open("#/machines/lamp")
    page.get_by_role("button", name="more → dim").click()
    expect(page.locator(".node.lit")).to_have_attribute("data-state", "dim")
    monitor.project.until_state("lamp", "dim")


def test_an_event_with_a_payload_is_written_by_hand_and_checked(monitor: Monitor) -> None:
    start(monitor)
    page = monitor.open("#/machines/lamp")
    page.get_by_role("button", name="more → dim").click()
    expect(page.locator(".node.lit")).to_have_attribute("data-state", "dim")
    page.get_by_role("button", name="Send more with a payload").click()
    payload = page.get_by_label("Payload, as JSON")
    payload.fill('{"why": the switch}')
    page.get_by_role("button", name="Send", exact=True).click()
    expect(payload).to_have_attribute("aria-invalid", "true")
    payload.fill('{"why": "the switch"}')
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".node.lit")).to_have_attribute("data-state", "bright")
    page.get_by_role("tab", name="Log").click()
    expect(page.get_by_text("It is bright: the switch")).to_be_visible()


def test_the_slider_replays_the_past_and_history_survives_a_reload(monitor: Monitor) -> None:
    start(monitor)
    for event in ("more", "more", "less"):
        send(monitor, event)
    monitor.project.until_state("lamp", "dim")
    page = monitor.open("#/machines/lamp")
    for _ in range(2):
        expect(page.locator(".move")).to_have_count(3)
        slider = page.get_by_role("slider")
        slider.focus()
        page.keyboard.press("Home")
        expect(page.locator(".node.lit")).to_have_attribute("data-state", "dim")
        page.keyboard.press("ArrowRight")
        expect(page.locator(".node.lit")).to_have_attribute("data-state", "bright")
        expect(page.locator("button.event").first).to_be_disabled()
        page.get_by_role("button", name="Back to live").click()
        expect(page.locator(".node.lit")).to_have_attribute("data-state", "dim")
        page.reload()


def test_a_machine_is_stopped_only_after_a_question(monitor: Monitor) -> None:
    monitor.write("lamp.yaml", LAMP.replace("smash]", "stop]").replace("event: smash", "event: stop"))
    monitor.serve()
    monitor.run("lamp.yaml")
    monitor.project.until_state("lamp", "dark")
    page = monitor.open("#/machines/lamp")
    page.get_by_role("button", name="Stop…").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Stop…").click()
    page.get_by_role("button", name="Stop it").click()
    expect(page.locator(".node.lit")).to_have_attribute("data-state", "broken")
    rows = monitor.project.json("statemachine-db transition-history --machine lamp")
    assert [row["to_state"] for row in rows] == ["broken"]


def test_one_that_does_not_run_cannot_be_stopped(monitor: Monitor) -> None:
    monitor.write("lamp.yaml", LAMP)
    monitor.serve()
    process = monitor.run("lamp.yaml")
    monitor.project.until_state("lamp", "dark")
    process.kill()
    page = monitor.open("#/machines/lamp")
    expect(page.get_by_text("no sign of life")).to_be_visible()
    expect(page.get_by_role("button", name="Stop…")).to_have_count(0)


def test_a_read_only_page_shows_events_and_sends_none(monitor: Monitor) -> None:
    monitor.write("lamp.yaml", LAMP)
    monitor.run("lamp.yaml")
    monitor.project.until_state("lamp", "dark")
    monitor.serve("--read-only")
    page = monitor.open("#/machines/lamp")
    expect(page.get_by_role("button", name="more → dim")).to_be_disabled()
    expect(page.get_by_text("read-only", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Stop…")).to_have_count(0)


def test_a_log_line_appears_within_250_ms_of_the_action(monitor: Monitor) -> None:
    start(monitor)
    page = monitor.open("#/activity")
    page.evaluate(WATCH_DELAYS)
    send(monitor, "more")
    for _ in range(5):
        send(monitor, "more")
        send(monitor, "less")
    delays = seen(lambda: page.evaluate("delays.length === 5 && delays"))
    assert sorted(delays)[2] < 250 * slowed(), delays


#: how old, in ms, each message of the lamp's log is when its line is in the document
WATCH_DELAYS = """() => {
  globalThis.delays = [];
  const seen = new Set();
  const look = () => {
    for (const { id, payload, timestamp } of monitor.store.events) {
      const shown = document.querySelector(`.event-row.level-success[data-id="${id}"]`);
      if (!payload.message?.startsWith("It is bright") || seen.has(id) || !shown) continue;
      seen.add(id);
      delays.push(Date.now() - timestamp * 1000);
    }
  };
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
}"""


def test_the_context_follows_the_machine_and_is_shown_as_text(monitor: Monitor) -> None:
    start(monitor)
    page = monitor.open("#/machines/lamp")
    card = page.get_by_role("region", name="Context")
    expect(card).to_contain_text("event_data")
    send(monitor, "more", '{"why": "<img src=x onerror=alert(1)>"}')
    card.locator("summary").click()
    expect(card).to_contain_text('"why": "<img src=x onerror=alert(1)>"')
    send(monitor, "more", '{"why": "later"}')
    expect(card).to_contain_text('"why": "later"')
