// The page: its frame, its views, its keys.
import { clock } from "./format.js";
import { html, render, useEffect, useLayoutEffect, useState } from "./lib.js";
import { go, useRoute } from "./router.js";
import { onEvents, start, store, stream, subscribe, useMachines, useStore } from "./store.js";
import { Dialog, Toasts, conditionOf } from "./ui.js";
import { Activity } from "./views/activity.js";
import { Board } from "./views/board.js";
import { Jobs } from "./views/jobs.js";
import { MachineView } from "./views/machine.js";
import { Overview } from "./views/overview.js";

const TABS = [
  ["Machines", "#/", ["", "machines"], "o"],
  ["Board", "#/board", ["board"], "k"],
  ["Jobs", "#/jobs", ["jobs"], "j"],
  ["Activity", "#/activity", ["activity"], "a"],
];

function App() {
  const { parts, query } = useRoute();
  const [help, setHelp] = useState(false);
  useKeys(setHelp);
  const [view = "", name] = parts;
  const resets = useTurn("reset");
  useTitle(view, name);
  return html`
    <a class="skip" href="#main" onClick=${skipToMain}>Skip to the content</a>
    <${Top} view=${view} onHelp=${() => setHelp(true)} />
    <${Banner} />
    <${View} key=${resets} view=${view} name=${name} query=${query} />
    ${help && html`<${Help} onClose=${() => setHelp(false)} />`}
    <${Toasts} />`;
}

/** Counts the announcements of a topic. */
function useTurn(topic) {
  const [turn, setTurn] = useState(0);
  useEffect(() => subscribe(topic, () => setTurn((n) => n + 1)), [topic]);
  return turn;
}

function View({ view, name, query }) {
  if (view === "machines" && name) return html`<${MachineView} key=${name} name=${name} query=${query} />`;
  if (view === "board") return html`<${Board} key=${name} type=${name} query=${query} />`;
  if (view === "jobs") return html`<${Jobs} id=${name} query=${query} />`;
  if (view === "activity") return html`<${Activity} query=${query} />`;
  return html`<${Overview} query=${query} />`;
}

function Top({ view, onHelp }) {
  const { config } = useStore("config");
  return html`<header class="top">
    <a class="brand" href="#/"><${Logo} /><span>${config.title}</span></a>
    <nav aria-label="Views">
      ${TABS.map(([title, address, views, key]) => html`<a key=${title} href=${address} aria-current=${views.includes(view) ? "page" : null} title=${`${title} (${key.toUpperCase()})`}>${title}${address === "#/" && html`<${Failures} />`}</a>`)}
    </nav>
    <span class="grow"></span>
    ${config.read_only && html`<span class="tag">read-only</span>`}
    <${Connection} />
    <button class="icon" aria-label="Light or dark" title="Light or dark (T)" onClick=${switchTheme}>◐</button>
    <button class="icon help" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" onClick=${onHelp}>?</button>
  </header>`;
}

const Logo = () => html`<svg class="logo" viewBox="0 0 24 24" aria-hidden="true"><circle cx="6" cy="12" r="4" /><circle cx="18" cy="12" r="4" class="on" /><path d="M7,7.5 C9,3.5 15,3.5 17,7.5" /></svg>`;

/** The number of failed machines, beside the word Machines. */
function Failures() {
  const { machines } = useMachines();
  const failed = [...machines.values()].filter((machine) => conditionOf(machine) === "failed").length;
  return failed > 0 && html`<span class="n bad" title=${`${failed} failed`}>${failed}</span>`;
}

const WORDS = { connecting: "connecting", live: "live", lost: "disconnected" };

function Connection() {
  const { connection } = useStore("connection");
  return html`<span class=${`connection ${connection.status}`} role="status"><i aria-hidden="true"></i><span>${WORDS[connection.status]}</span></span>`;
}

/** A banner that tells that the shown data is old. */
function Banner() {
  const { connection } = useStore("connection");
  if (connection.status !== "lost") return null;
  const shown = connection.since === null ? "No data yet" : `Showing data of ${clock(connection.since)}`;
  return html`<div class="banner" role="alert"><b>Disconnected.</b> ${shown}. Trying again by itself. <button class="small" onClick=${() => stream.retryNow()}>Try now</button></div>`;
}

const SHORTCUTS = [
  ["O", "Machines"], ["K", "Board"], ["J", "Jobs"], ["A", "Activity"],
  ["/", "Search"], ["T", "Light or dark"], ["?", "This list"], ["Esc", "Close, or one level up"],
];

const Help = ({ onClose }) => html`<${Dialog} title="Keyboard shortcuts" onClose=${onClose}>
  <dl class="pairs keys">${SHORTCUTS.map(([key, meaning]) => html`<dt key=${key}><kbd>${key}</kbd></dt><dd>${meaning}</dd>`)}</dl>
  <p class="muted">statemachine-engine ${store.config.version}</p>
  <div class="dialog-foot"><button data-first onClick=${onClose}>Close</button></div>
</${Dialog}>`;

function useKeys(setHelp) {
  useLayoutEffect(() => { // before the page is painted, so that keys work as soon as it is visible
    const pressed = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      if (event.target.closest("input:not([type=range]):not([type=checkbox]), textarea, select")) {
        if (event.key === "Escape") event.target.blur();
        return;
      }
      const tab = TABS.find(([, , , key]) => key === event.key.toLowerCase());
      const act = tab ? () => go(tab[1]) : KEYS[event.key];
      if (!act) return;
      event.preventDefault();
      act(setHelp);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}

const KEYS = {
  "/": () => document.querySelector("input[type=search]")?.focus(),
  "?": (setHelp) => setHelp(true),
  t: switchTheme,
  T: switchTheme,
  Escape: () => location.hash.startsWith("#/machines/") && go("#/"),
};

function switchTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("theme", root.dataset.theme);
  } catch {
    // remembered for this page only
  }
}

function useTitle(view, name) {
  const { config } = useStore("config");
  useEffect(() => {
    const titles = { machines: name, board: "Board", jobs: name ? `Job ${name}` : "Jobs", activity: "Activity" };
    document.title = `${titles[view] ?? "Machines"} · ${config.title}`;
  }, [view, name, config.title]);
}

function skipToMain(event) {
  event.preventDefault();
  const main = document.getElementById("main");
  main.tabIndex = -1;
  main.focus();
}

globalThis.monitor = { store, stream, onEvents }; // for inspection in the browser's console
render(html`<${App} />`, document.getElementById("app"));
start();
