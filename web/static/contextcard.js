// A machine's context, updated while the machine moves.
import { api, get } from "./api.js";
import { shortened } from "./format.js";
import { html, paced, useEffect, useState } from "./lib.js";
import { onEvents } from "./store.js";
import { Clock, Code } from "./ui.js";

const EVERY_MS = 1000; // machines store it at most this often
const LATE_MS = 1500; // after its last event, for the context stored a second later
const SLOW_MS = 10_000; // for changes by an action that sends no events
const LONGEST_LINE = 60;

export function ContextCard({ name }) {
  const found = useContext(name);
  if (!found?.context) return null;
  const { context, context_cut: cut, context_left_out: leftOut, context_at: at } = found;
  const entries = Object.entries(context).sort(([a], [b]) => a.localeCompare(b));
  return html`<section class="card context" aria-label="Context">
    <h2>Context <small>since <${Clock} at=${at} /></small></h2>
    ${entries.length === 0 && html`<p class="muted">It is empty.</p>`}
    <dl class="pairs">${entries.map(([key, value]) => html`<dt key=${key}>${breakable(key)}</dt><dd key=${`${key}=`}><${Value} name=${key} value=${value} isCut=${cut.includes(key)} /></dd>`)}</dl>
    ${leftOut > 0 && html`<p class="muted">${leftOut} more cannot be shown: no JSON, or no room for ${leftOut === 1 ? "it" : "them"}.</p>`}
  </section>`;
}

/** Breaks a long name after underscores first. */
const breakable = (name) => name.split(/(?<=_)/).map((part) => html`${part}<wbr />`);

/** Shows one line; longer values unfold. */
function Value({ name, value, isCut }) {
  const line = typeof value === "string" ? value : JSON.stringify(value);
  if (!isCut && line.length <= LONGEST_LINE && !line.includes("\n")) return value === null || value === "" ? html`<span class="muted">${value === null ? "null" : "empty"}</span>` : html`<code>${line}</code>`;
  return html`<details>
    <summary><code>${shortened(line.trimStart().split("\n")[0], LONGEST_LINE)}</code>${isCut && html` <span class="tag">cut</span>`}</summary>
    <${Code} value=${value} label=${name} />
    ${isCut && html`<p class="muted">Only the beginning is kept.</p>`}
  </details>`;
}

/** Loads the context from the server as the machine moves. */
function useContext(name) {
  const [found, setFound] = useState(null);
  useEffect(() => {
    const control = new AbortController();
    const keep = (next) => setFound((old) => (old?.context_at === next.context_at ? old : next));
    const load = () => document.hidden || get(api("machines", name, "context"), {}, control.signal).then(keep, () => {}); // the old one stays
    const soon = paced(load, EVERY_MS);
    const timer = setInterval(load, SLOW_MS);
    let late = 0;
    const stop = onEvents((events) => {
      if (!events.some((item) => item.machine_name === name)) return;
      soon();
      clearTimeout(late);
      late = setTimeout(soon, LATE_MS);
    });
    load();
    return () => (stop(), control.abort(), soon.cancel(), clearTimeout(late), clearInterval(timer));
  }, [name]);
  return found;
}
