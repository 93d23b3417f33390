"""Much of everything: a thousand cards, a long history, an hour of events, half a minute missed."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from statemachine_engine.storage import audit
from statemachine_engine.storage.audit import Note, StateRow
from tests.support.page import Monitor, seen
from tests.support.until import slowed

CROWD = Path(__file__).with_name("crowd.py")

#: milliseconds from the navigation until this number of machines is visible
FIRST_ROWS = """
new MutationObserver((_, observer) => {
  if (document.querySelectorAll(".machine-row:not(.head)").length < 100) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => (globalThis.painted_ms = performance.now())));
}).observe(document, { childList: true, subtree: true });
"""

#: scrolls every column of the board for two seconds; the time that each frame took, in ms
SCROLL = """() => new Promise((resolve) => {
  const columns = [...document.querySelectorAll(".cards")];
  const frames = [];
  let last = performance.now();
  const begun = last;
  const step = (now) => {
    frames.push(now - last);
    last = now;
    for (const column of columns) column.scrollTop += 40;
    if (now - begun < 2000) requestAnimationFrame(step);
    else resolve(frames);
  };
  requestAnimationFrame(step);
})"""


BOTH = ("state_change", "activity_log")
MOVES = ("state_change",)


def history(monitor: Monitor, machines: int, rows: int, types: tuple[str, ...] = BOTH) -> None:
    """Store events of many machines, one for each millisecond until now."""
    began_s = monitor.db.now() - rows / 1000
    notes = [note(n, f"m{n % machines:03d}", types[n % len(types)], began_s + n / 1000) for n in range(rows)]
    for start in range(0, rows, 5000):
        audit.write(monitor.db, notes[start : start + 5000])


def note(number: int, machine: str, type: str, at_s: float) -> Note:
    states = ("waiting", "working")
    payload: dict[str, Any] = {"message": f"line {number}", "level": "info", "timestamp": at_s}
    if type == "state_change":
        source, target = states[number % 2], states[(number + 1) % 2]
        payload = {"from_state": source, "to_state": target, "event_trigger": "go", "timestamp": at_s}
    return Note(machine, type, payload, at_s)


COLLECT_IDS = """() => {
  monitor.ids = [];
  monitor.onEvents((events) => monitor.ids.push(...events.map(({ id }) => id)));
}"""


def heap_mb(page: Page) -> float:
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.enable")
    session.send("HeapProfiler.collectGarbage")
    used: float = session.send("Runtime.getHeapUsage")["usedSize"]
    return used / 1e6


def test_a_hundred_machines_with_a_long_history_are_painted_within_a_second(monitor: Monitor) -> None:
    history(monitor, 100, 100_000)
    now_s = monitor.db.now()
    audit.write(monitor.db, [StateRow(f"m{n:03d}", "waiting", now_s, "here/1/2/abc") for n in range(100)])
    monitor.serve()
    times = []
    for _ in range(3):
        page = monitor.open("favicon.ico")
        page.add_init_script(FIRST_ROWS)
        page.goto(monitor.url)
        times.append(seen(lambda page=page: page.evaluate("globalThis.painted_ms")))
    assert min(times) < 1000 * slowed(), times


def test_an_hour_of_events_leaves_the_page_small(monitor: Monitor) -> None:
    monitor.serve()
    page = monitor.open("#/activity")
    expect(page.locator(".connection")).to_have_text("live")
    history(monitor, 50, 36_000)
    seen(lambda: page.evaluate("monitor.store.received") == 36_000, timeout_s=60)
    assert page.evaluate("monitor.store.events.length") == 5000
    assert page.evaluate("document.querySelectorAll('*').length") < 1500
    assert heap_mb(page) < 100


def test_half_a_minute_of_transitions_is_caught_up_without_a_gap_or_a_double(monitor: Monitor) -> None:
    monitor.serve()
    page = monitor.open("#/activity")
    expect(page.locator(".connection")).to_have_text("live")
    page.evaluate(COLLECT_IDS)
    history(monitor, 10, 500, MOVES)
    seen(lambda: page.evaluate("monitor.ids.length") == 500)
    monitor.stop()
    expect(page.get_by_role("alert")).to_contain_text("Disconnected")
    history(monitor, 10, 30 * 200, MOVES)
    monitor.serve()
    history(monitor, 10, 500, MOVES)
    newest = audit.newest_id(monitor.db)
    seen(lambda: page.evaluate("monitor.ids.at(-1)") == newest, timeout_s=60)
    ids = page.evaluate("monitor.ids")
    assert ids == list(range(newest - 6999, newest + 1))


def test_a_thousand_cards_move_and_scroll_without_stutter(monitor: Monitor) -> None:
    monitor.project.start(f"{sys.executable} {CROWD} {monitor.folder} 1000")
    monitor.project.until_logged("ready", timeout_s=90)
    monitor.serve()
    page = monitor.open()
    expect(page.get_by_role("row", name="ticket")).to_contain_text("1,000 instances")
    page.keyboard.press("k")
    expect(page.get_by_role("heading", name="WORK")).to_be_visible()
    counts = [int(text.replace(",", "")) for text in page.locator(".column h2 .n").all_inner_texts()]
    assert sum(counts) == 1000
    assert page.locator(".card-item").count() < 200
    frames = page.evaluate(SCROLL)
    assert statistics.median(frames) < 40 * slowed(), frames
    page.locator(".card-item").first.click()
    expect(page.locator(".node.lit")).to_be_visible()


def test_a_page_that_starts_over_fetches_missed_events_before_new_ones(monitor: Monitor) -> None:
    monitor.serve()
    history(monitor, 10, 5000)
    page = monitor.open("#/activity")
    shown = audit.newest_id(monitor.db)
    seen(lambda: page.evaluate("monitor.store.events.at(-1)?.id") == shown)
    missed_from = shown - 3000
    page.evaluate(COLLECT_IDS)
    page.evaluate(
        "(id) => { monitor.stream.lastId = id; monitor.stream.on.resync({ last_id: id + 3000 }); }", missed_from
    )
    history(monitor, 10, 2000)
    newest = audit.newest_id(monitor.db)
    seen(lambda: page.evaluate("monitor.ids.at(-1)") == newest, timeout_s=60)
    assert page.evaluate("monitor.ids") == list(range(missed_from + 1, newest + 1))


def test_a_page_that_missed_more_than_it_keeps_continues_with_the_newest(monitor: Monitor) -> None:
    monitor.serve()
    history(monitor, 10, 1000)
    page = monitor.open("#/activity")
    expect(page.locator(".connection")).to_have_text("live")
    monitor.stop()
    history(monitor, 10, 110_000)
    monitor.serve()
    newest = audit.newest_id(monitor.db)
    seen(lambda: page.evaluate("monitor.store.events.at(-1)?.id") == newest, timeout_s=60)
    assert page.evaluate("monitor.store.resyncs") == 1
    monitor.happen(("m001", "activity_log", {"message": "and on it goes"}))
    expect(page.get_by_text("and on it goes")).to_be_visible()
