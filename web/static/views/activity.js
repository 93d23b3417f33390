// The activity view: all events, newest first.
import { get } from "../api.js";
import { EventRow } from "../eventrow.js";
import { count, plural } from "../format.js";
import { labelOf, LEVELS, levelOf, messageOf } from "../levels.js";
import { html, useCallback, useEffect, useMemo, useRef, useSettled, useState } from "../lib.js";
import { setQuery } from "../router.js";
import { slim, useStore } from "../store.js";
import { Chips, Empty, Search, Select, Time } from "../ui.js";
import { VirtualList } from "../virtual.js";
import { toggled } from "./overview.js";

const OLDER_PAGE = 500;
const MOST_OLDER = 3000;
const LEVEL_NAMES = { error: "Errors", warning: "Warnings", success: "Successes", info: "Info", debug: "Detail" };
const LEVEL_TONES = { error: "bad", warning: "warn" };

export function Activity({ query }) {
  const { events: live } = useStore("events");
  const [frozen, setFrozen] = useState(null);
  const older = useOlder(live);
  const levels = new Set((query.level ?? "").split(",").filter(Boolean));
  const text = useSettled(query.q ?? "", 120);
  const events = frozen ?? live;
  const all = useMemo(() => [...older.items, ...events.filter((item) => item.id > (older.items.at(-1)?.id ?? 0))], [older.items, events]);
  const shown = useMemo(() => all.filter(filterOf(levels, query.type, text)).reverse(), [all, query.level, query.type, text]);
  const types = useMemo(() => [...new Set(all.map(({ type }) => type))].sort(), [all]);
  const missed = frozen ? live.filter(({ id }) => id > (frozen.at(-1)?.id ?? 0)).length : 0;
  return html`<main class="page activity" id="main">
    <header class="page-head">
      <h1>Activity</h1>
      <${Chips} label="Filter by level" chosen=${levels} onToggle=${(value) => setQuery({ level: [...toggled(levels, value)].join(",") })}
        options=${LEVELS.map((value) => ({ value, text: LEVEL_NAMES[value], tone: LEVEL_TONES[value] }))} />
      <span class="grow"></span>
      <button aria-pressed=${Boolean(frozen)} onClick=${() => setFrozen(frozen ? null : live)}>${frozen ? `Resume${missed ? `, ${count(missed)} new` : ""}` : "Pause"}</button>
      <button onClick=${() => exportOf(shown)} disabled=${!shown.length}>Export</button>
    </header>
    <div class="filters">
      <${Search} value=${query.q ?? ""} placeholder="Search machine and text" onInput=${(q) => setQuery({ q })} />
      <${Select} label="Type" value=${query.type ?? ""} onChange=${(type) => setQuery({ type })} options=${[["", "All types"], ...types.map((type) => [type, type === labelOf(type) ? type : `${labelOf(type)} (${type})`])]} />
      <span class="muted found">${plural(shown.length, "line")}${all.length > 0 && html` since <${Time} at=${all[0].timestamp} />`}</span>
      ${older.more && all.length > 0 && html`<button class="small" onClick=${older.load} disabled=${older.items.length >= MOST_OLDER}>Look further back</button>`}
    </div>
    ${shown.length ? html`<${VirtualList} class="log tall" role="list" label="Activity, newest first" items=${shown} rowHeight=${30} keyOf=${(item) => item.id} steady
        onEnd=${older.load} row=${(item) => html`<${EventRow} item=${item} />`} />`
      : html`<${Empty} title=${all.length ? "Nothing matches" : "Nothing happened yet"} />`}
  </main>`;
}

function filterOf(levels, type, text) {
  const needle = text.trim().toLowerCase();
  return (item) =>
    (!levels.size || levels.has(levelOf(item))) &&
    (!type || item.type === type) &&
    (!needle || `${item.machine_name} ${messageOf(item)}`.toLowerCase().includes(needle));
}

/** Loads events before those that the page holds, page by page. */
function useOlder(live) {
  const [older, setOlder] = useState({ items: [], more: true });
  const busy = useRef(false);
  const oldest = older.items[0]?.id ?? live[0]?.id;
  const load = useCallback(async () => {
    if (busy.current || !older.more || oldest === undefined || older.items.length >= MOST_OLDER) return;
    busy.current = true;
    try {
      const page = await get("/api/events", { before: oldest, limit: OLDER_PAGE });
      const items = page.items.map(slim).sort((a, b) => a.id - b.id);
      setOlder((old) => ({ items: [...items, ...old.items], more: items.length > 0 }));
    } catch {
      // the connection's banner shows it; scrolling tries again
    } finally {
      busy.current = false;
    }
  }, [oldest, older.more]);
  useEffect(() => {
    if (live.length && live.length < 100) load();
  }, [live.length > 0]);
  return { ...older, load };
}

/** Saves the lines shown, one JSON object a line, newest first. */
function exportOf(events) {
  const text = events.map((item) => `${JSON.stringify(item)}\n`).join("");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/x-ndjson" }));
  link.download = `activity-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.jsonl`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
