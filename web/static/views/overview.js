// The overview: all machines, failed ones first; many instances are one line with a link to the board.
import { count, plural, shortened } from "../format.js";
import { html, memo, useEffect, useRef, useState } from "../lib.js";
import { href, setQuery } from "../router.js";
import { pulseOf, useMachines } from "../store.js";
import { Chips, Condition, conditionOf, Empty, Search, Since, Sparkline, State } from "../ui.js";

const MANY = 20;
const MOST_ROWS = 500;
const ORDER = { failed: 0, gone: 1, running: 2, standby: 3, ended: 4 };
const TONES = { failed: "bad", gone: "warn" };
const NAMES = { failed: "Failed", gone: "No sign of life", running: "Running", standby: "Standby", ended: "Ended" };

export function Overview({ query }) {
  const { machines, ready } = useMachines();
  const turn = useTurns(10_000);
  const text = query.q ?? "";
  const chosen = new Set((query.show ?? "").split(",").filter(Boolean));
  const all = [...machines.values()];
  const counts = countsOf(all);
  const rows = rowsOf(all, text, chosen);
  const toggle = (value) => setQuery({ show: [...toggled(chosen, value)].join(",") });
  if (!ready) return html`<main class="page" id="main"><h1>Machines</h1><${Skeleton} /></main>`;
  return html`<main class="page" id="main">
    <header class="page-head">
      <h1>Machines</h1>
      <${Chips} label="Filter by condition" chosen=${chosen} onToggle=${toggle}
        options=${Object.keys(ORDER).filter((c) => counts[c]).map((c) => ({ value: c, text: NAMES[c], n: count(counts[c]), tone: TONES[c] }))} />
      <${Search} value=${text} placeholder="Search machines" onInput=${(q) => setQuery({ q })} />
    </header>
    ${rows.length === 0 ? html`<${Nothing} any=${all.length > 0} />` : html`<${Table} rows=${rows.slice(0, MOST_ROWS)} turn=${turn} />`}
    ${rows.length > MOST_ROWS && html`<p class="more-rows muted">The first ${count(MOST_ROWS)} of ${count(rows.length)}. Search to find the others.</p>`}
  </main>`;
}

const Table = ({ rows, turn }) => html`
  <div class="machines" role="table" aria-label="Machines">
    <div class="machine-row head" role="row">
      ${["Machine", "State", "For", "Condition", "Job", "Last error", "15 minutes"].map((title) => html`<span key=${title} role="columnheader">${title}</span>`)}
    </div>
    ${rows.map((row) => row.members ? html`<${TemplateRow} key=${`t:${row.config_type}`} ...${row} /> `
      : html`<${Row} key=${row.machine_name} machine=${row} turn=${turn} pulse=${pulseKey(row.machine_name)} />`)}
  </div>`;

const pulseKey = (name) => pulseOf(name).join();

const Row = memo(({ machine, pulse }) => {
  const name = machine.machine_name;
  const condition = conditionOf(machine);
  return html`<div class=${`machine-row ${condition}`} role="row">
    <span role="cell" class="name"><a class="whole" href=${href("machines", name)}>${name}</a>${machine.config_type && machine.config_type !== name && html`<small>${machine.config_type}</small>`}</span>
    <span role="cell" class="in-state"><${Flash} value=${machine.current_state} /></span>
    <span role="cell" class="num for"><${Since} at=${machine.state_since ?? machine.last_activity} label="in this state since" /></span>
    <span role="cell" class="cond"><${Condition} machine=${machine} /></span>
    <span role="cell" class="job">${machine.current_job ? html`<code>${machine.current_job}</code>` : html`<span class="muted">–</span>`}</span>
    <span role="cell" class="last-error" title=${machine.last_error ?? ""}>${machine.last_error ? shortened(machine.last_error, 120) : html`<span class="muted">–</span>`}</span>
    <span role="cell" class="spark"><${Sparkline} values=${pulse.split(",").map(Number)} label=${name} /></span>
  </div>`;
});

/** A state that is highlighted for a moment when it changes. */
function Flash({ value }) {
  const first = useRef(true);
  const span = useRef(null);
  useEffect(() => {
    if (first.current) first.current = false;
    else span.current.animate?.([{ backgroundColor: "var(--accent-soft)" }, { backgroundColor: "transparent" }], 900);
  }, [value]);
  return html`<span class="flash" ref=${span}><${State} name=${value} /></span>`;
}

const TemplateRow = ({ config_type, members, counts, states }) => html`
  <div class=${`machine-row template ${counts.failed ? "failed" : ""}`} role="row">
    <span role="cell" class="name"><a class="whole" href=${href("board", config_type)}>${config_type}</a><small>${plural(members.length, "instance")}</small></span>
    <span role="cell" aria-colspan="4" class="many">${states.slice(0, 4).map(([state, n]) => html`<span key=${state} class="state"><b>${count(n)}</b> ${state}</span>`)}
      ${states.length > 4 && html`<span class="muted">and ${states.length - 4} more</span>`}</span>
    <span role="cell" class="cond">${["failed", "gone", "running"].filter((c) => counts[c]).map((c) => html`<span key=${c} class=${`condition ${c}`}><i aria-hidden="true"></i>${count(counts[c])} ${NAMES[c].toLowerCase()}</span>`)}</span>
    <span role="cell" class="to-board" aria-hidden="true">Board →</span>
  </div>`;

function rowsOf(all, text, chosen) {
  const needle = text.trim().toLowerCase();
  const byType = Map.groupBy(all, (machine) => machine.config_type ?? "");
  const matching = all.filter((machine) => (!chosen.size || chosen.has(conditionOf(machine))) && matches(machine, needle));
  const rows = [];
  const folded = new Map();
  for (const machine of matching) {
    const siblings = byType.get(machine.config_type ?? "").length;
    const fold = machine.config_type && siblings > 1 && (siblings > MANY || machine.template) && !needle && !chosen.size;
    if (!fold) rows.push(machine);
    else if (folded.has(machine.config_type)) folded.get(machine.config_type).push(machine);
    else folded.set(machine.config_type, [machine]);
  }
  const templates = [...folded].map(([config_type, members]) => ({ config_type, members, counts: countsOf(members), states: statesOf(members) }));
  return [...rows, ...templates].sort(byUrgency);
}

function matches(machine, needle) {
  if (!needle) return true;
  const { machine_name, config_type, current_state, current_job, last_error } = machine;
  return [machine_name, config_type, current_state, current_job, last_error].some((value) => value?.toLowerCase().includes(needle));
}

const rankOf = (row) => (row.members ? (row.counts.failed ? 0 : 2) : ORDER[conditionOf(row)]);
const nameOf = (row) => row.machine_name ?? row.config_type;
const byUrgency = (a, b) => rankOf(a) - rankOf(b) || nameOf(a).localeCompare(nameOf(b), undefined, { numeric: true });

const countsOf = (machines) => Object.fromEntries([...Map.groupBy(machines, conditionOf)].map(([c, members]) => [c, members.length]));
const statesOf = (machines) =>
  [...Map.groupBy(machines, (m) => m.current_state)].map(([state, members]) => [state, members.length]).sort((a, b) => b[1] - a[1]);

export function toggled(set, value) {
  const next = new Set(set);
  if (!next.delete(value)) next.add(value);
  return next;
}

const Nothing = ({ any }) =>
  any
    ? html`<${Empty} title="No machine matches">Change the search or the filter.</${Empty}>`
    : html`<${Empty} title="No machines yet">Start one, and it appears here: <code>statemachine config/worker.yaml</code></${Empty}>`;

const Skeleton = () => html`<div class="skeleton" role="status" aria-label="Loading">${[1, 2, 3, 4].map((n) => html`<i key=${n}></i>`)}</div>`;

/** Counts up regularly, so that sparklines move without events. */
function useTurns(every_ms) {
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setTurn((n) => n + 1), every_ms);
    return () => clearInterval(timer);
  }, []);
  return turn;
}
