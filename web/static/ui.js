// Small components that all views share.
import { clock, coarse, count, epoch, exact, now, pretty, when } from "./format.js";
import { html, useEffect, useMemo, useRef, useState } from "./lib.js";

// Times that are updated: each writes its own text once a second, without rendering again.

const ticking = new Set();
setInterval(() => document.hidden || ticking.forEach((tick) => tick()), 1000);

/** "3m 20s" since then, kept up to date. */
export function Since({ at, label }) {
  const span = useRef(null);
  const from_s = epoch(at);
  useEffect(() => {
    if (from_s === null) return undefined;
    const tick = () => span.current && (span.current.textContent = coarse(now() - from_s));
    tick();
    ticking.add(tick);
    return () => ticking.delete(tick);
  }, [from_s]);
  if (from_s === null) return html`<span class="muted">–</span>`;
  return html`<time ref=${span} title=${`${label ?? "since"} ${exact(at)}`}></time>`;
}

export const Time = ({ at, ms }) => html`<time title=${exact(at)}>${when(at, ms)}</time>`;
export const Clock = ({ at, ms }) => html`<time title=${exact(at)}>${clock(at, ms)}</time>`;

/** A machine's status in one word. */
export function conditionOf(machine) {
  if (machine.status === "failed") return "failed";
  if (machine.status === "ended") return "ended";
  if (machine.status === "standby") return "standby";
  return machine.running ? "running" : "gone";
}

const CONDITION_TITLES = {
  running: "running",
  failed: "failed: it cannot go on by itself",
  ended: "ended",
  standby: "standing by",
  gone: "no sign of life: its process is gone or does not answer",
};

export const Condition = ({ machine }) => {
  const condition = conditionOf(machine);
  return html`<span class=${`condition ${condition}`} title=${CONDITION_TITLES[condition]}><i aria-hidden="true"></i>${condition === "gone" ? "no sign of life" : condition}</span>`;
};

export const State = ({ name }) => html`<span class="state" title=${name}>${name ?? "–"}</span>`;

export const Status = ({ status }) => html`<span class=${`status status-${status}`}>${status}</span>`;

/** Bars for a row of numbers. */
export function Sparkline({ values, label }) {
  const most = Math.max(4, ...values);
  const path = values.map((n, i) => (n ? `M${i * 4 + 2},19v${-Math.max(2, (n / most) * 18)}` : "")).join("");
  const total = values.reduce((sum, n) => sum + n, 0);
  return html`<svg class="sparkline" viewBox=${`0 0 ${values.length * 4} 20`} preserveAspectRatio="none" role="img" aria-label=${`${label}: ${total} events in the last 15 minutes`}>
    <path class="base" d=${`M0,19.5h${values.length * 4}`} /><path d=${path} />
  </svg>`;
}

export const Empty = ({ title, children }) => html`<div class="empty"><strong>${title}</strong>${children && html`<p>${children}</p>`}</div>`;

export const Failure = ({ error, retry }) =>
  html`<div class="failure" role="alert">${error.message}${error.hint && html`. ${error.hint}`}
    ${retry && html` <button class="small" onClick=${retry}>Try again</button>`}</div>`;

const LONGEST_CODE = 100_000; // characters; a browser takes seconds over millions of them

export function Code({ value, label }) {
  const text = useMemo(() => pretty(value), [value]);
  return html`<pre class="code" tabindex="0" aria-label=${label}>${text.slice(0, LONGEST_CODE)}</pre>
    ${text.length > LONGEST_CODE && html`<p class="muted">The first ${count(LONGEST_CODE)} of ${count(text.length)} characters. <code>statemachine-db</code> and the API have all of it.</p>`}`;
}

/** A row of choices: any number, or exactly one, is selected. */
export function Chips({ options, chosen, onToggle, label }) {
  return html`<div class="chips" role="group" aria-label=${label}>
    ${options.map(({ value, text, n, tone }) => html`<button key=${value} class=${`chip ${tone ?? ""}`} aria-pressed=${chosen.has(value)}
      onClick=${() => onToggle(value)}>${text ?? value}${n !== undefined && html`<span class="n">${n}</span>`}</button>`)}
  </div>`;
}

export function Search({ value, onInput, placeholder, label = placeholder }) {
  return html`<input type="search" class="search" value=${value} placeholder=${placeholder} aria-label=${label} spellcheck=${false}
    autocomplete="off" onInput=${(event) => onInput(event.currentTarget.value)} />`;
}

export function Select({ value, options, onChange, label }) {
  return html`<label class="select"><span class="sr">${label}</span>
    <select value=${value} onChange=${(event) => onChange(event.currentTarget.value)}>
      ${options.map(([key, text]) => html`<option key=${key} value=${key} selected=${key === value}>${text}</option>`)}
    </select></label>`;
}

/** A modal window; the browser keeps the focus in it and closes it on Escape. */
export function Dialog({ title, onClose, children }) {
  const dialog = useRef(null);
  useEffect(() => {
    const opener = document.activeElement;
    dialog.current.showModal();
    dialog.current.querySelector("[data-first]")?.focus();
    return () => opener?.focus?.();
  }, []);
  return html`<dialog ref=${dialog} aria-labelledby="dialog-title" onClose=${onClose}
    onClick=${(event) => event.target === dialog.current && dialog.current.close()}>
    <div class="dialog-body"><h2 id="dialog-title">${title}</h2>${children}</div>
  </dialog>`;
}

/** Asks before an action that cannot be undone. */
export function Confirm({ title, children, action, danger, onConfirm, onClose }) {
  return html`<${Dialog} title=${title} onClose=${onClose}>
    ${children && html`<p>${children}</p>`}
    <div class="dialog-foot">
      <button onClick=${onClose}>Cancel</button>
      <button class=${danger ? "danger" : "primary"} data-first onClick=${() => (onClose(), onConfirm())}>${action}</button>
    </div>
  </${Dialog}>`;
}

// Short messages at the bottom of the page.

let showToast = () => {};
let toastSerial = 0;

/** Shows the result of an action. */
export function toast(text, tone = "good") {
  showToast({ id: ++toastSerial, text, tone });
}

/** Runs an action and shows its result; returns true on success. */
export async function attempt(action, done) {
  try {
    const answer = await action();
    toast(typeof done === "function" ? done(answer) : done);
    return true;
  } catch (error) {
    toast(error.hint ? `${error.message}. ${error.hint}` : error.message, "bad");
    return false;
  }
}

export function Toasts() {
  const [toasts, setToasts] = useState([]);
  useEffect(() => {
    showToast = (added) => {
      setToasts((all) => [...all.slice(-3), added]);
      setTimeout(() => setToasts((all) => all.filter(({ id }) => id !== added.id)), added.tone === "bad" ? 9000 : 4500);
    };
  }, []);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${toasts.map(({ id, text, tone }) => html`<div key=${id} class=${`toast ${tone}`}>${text}</div>`)}
  </div>`;
}
