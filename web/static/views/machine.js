// The machine view: diagram, events to send, history and replay.
import { api, get, post } from "../api.js";
import { ContextCard } from "../contextcard.js";
import { countKey, Diagram, DiagramPane } from "../diagram.js";
import { EventRow } from "../eventrow.js";
import { brief, duration, epoch, now, shortened } from "../format.js";
import { eventsFrom, modelOf } from "../graph.js";
import { html, useCallback, useEffect, useLoaded, useMemo, useRef, useState } from "../lib.js";
import { ReplayBar, useReplay } from "../replay.js";
import { href, setQuery } from "../router.js";
import { onEvents, slim, store, useMachine, useStore } from "../store.js";
import { attempt, Clock, Condition, Confirm, Empty, Failure, Since, State, Time, toast } from "../ui.js";
import { EventDialog } from "../senddialog.js";
import { VirtualList } from "../virtual.js";

const MOST_SHOWN = 500;

export function MachineView({ name, query }) {
  const { config, ready } = useStore("config");
  const { data, error, reload } = useLoaded((signal) => get(api("machines", name), {}, signal), [name]);
  const history = useTimeline(name);
  const machine = useMachine(name) ?? data;
  const model = useMemo(() => (data?.definition ? modelOf(data.definition) : null), [data]);
  const counts = useCounts(name, data);
  const replay = useReplay(history.moves);
  if (!machine) {
    if (error && error.status !== 404) return html`<main class="page" id="main"><${Failure} error=${error} retry=${reload} /></main>`;
    return html`<main class="page" id="main">${ready && error ? html`<${Empty} title=${`There is no machine ${name}`}><a href="#/">All machines</a></${Empty}>` : html`<p class="empty">Loading…</p>`}</main>`;
  }
  const state = replay.moment ? replay.moment.to : machine.current_state;
  return html`<main class="page machine" id="main">
    <${Head} machine=${machine} readOnly=${config.read_only} />
    ${machine.status === "failed" && html`<div class="failure" role="alert"><b>Failed in ${machine.current_state}.</b> ${machine.last_error}</div>`}
    <div class="machine-columns">
      <div class="card picture">
        ${model ? html`<${Picture} name=${name} model=${model} state=${state} last=${replay.moment ?? history.moves.at(-1)} counts=${counts} query=${query} />`
          : html`<${Empty} title=${data ? "No definition found" : "Loading…"}>${data && "Start statemachine-ui with --project-root where the machine's YAML file is, to see its diagram."}</${Empty}>`}
        <${ReplayBar} replay=${replay} />
      </div>
      <aside class="machine-side">
        <${Events} machine=${machine} model=${model} readOnly=${config.read_only} past=${Boolean(replay.moment)} />
        <${Facts} machine=${machine} />
        <${ContextCard} name=${name} />
        ${data?.actions?.length > 0 && html`<${Actions} actions=${data.actions} type=${machine.config_type ?? name} />`}
      </aside>
      <${Past} name=${name} query=${query} history=${history} replay=${replay} />
    </div>
  </main>`;
}

function Head({ machine, readOnly }) {
  const [asking, setAsking] = useState(null);
  const asked = `${machine.machine_name} was asked to stop`;
  const path = api("machines", machine.machine_name, "stop");
  const stop = () =>
    post(path).then(
      () => toast(asked),
      (error) => (error.status === 409 && machine.running ? setAsking("process") : toast(error.message, "bad")),
    );
  const endProcess = () => attempt(() => post(path, { process: true }), asked);
  return html`<header class="page-head">
    <nav aria-label="Breadcrumb" class="crumbs"><a href="#/">Machines</a> /</nav>
    <h1>${machine.machine_name}</h1>
    <${Condition} machine=${machine} />
    <span class="now"><${State} name=${machine.current_state} /> for <${Since} at=${machine.state_since ?? machine.last_activity} label="since" /></span>
    <span class="grow"></span>
    ${!readOnly && machine.running && html`<button class="danger quiet" onClick=${() => setAsking("machine")}>Stop…</button>`}
    ${asking === "machine" && html`<${Confirm} title=${`Stop ${machine.machine_name}?`} action="Stop it" danger onConfirm=${stop} onClose=${() => setAsking((now) => (now === "machine" ? null : now))}>
      Its running action gets a moment to finish; a job that it holds goes back to the queue.</${Confirm}>`}
    ${asking === "process" && html`<${Confirm} title=${`End process ${machine.pid}?`} action="End the process" danger onConfirm=${endProcess} onClose=${() => setAsking(null)}>
      ${machine.machine_name} takes no event <code>stop</code> where it is. Its process can be ended in order, with all machines in it.</${Confirm}>`}
  </header>`;
}

function Picture({ name, model, state, last, counts, query }) {
  const inside = model.groups.has(query.group) ? query.group : null;
  const crowded = model.groups.size > 1 && model.states.length > 16;
  const collapsed = query.fold ? query.fold === "groups" : crowded;
  const wildcards = query.any === "1";
  const view = { inside, collapsed, wildcards };
  const wild = model.transitions.filter(({ from }) => from === "*").length;
  const open = useCallback((group) => setQuery({ group }), []);
  const tools = html`
    ${inside ? html`<button class="small" onClick=${() => setQuery({ group: null })}>← Whole machine</button><b class="group-name">${inside}</b>`
      : model.groups.size > 0 && html`<button class="small" aria-pressed=${collapsed} onClick=${() => setQuery({ fold: collapsed ? "states" : "groups" })}>Groups only</button>`}
    ${wild > 0 && html`<button class="small" aria-pressed=${wildcards} onClick=${() => setQuery({ any: wildcards ? null : "1" })}>From any state (${wild})</button>`}`;
  return html`<${DiagramPane} tools=${tools} current=${state}>
    ${(zoom) => html`<${Diagram} name=${name} model=${model} view=${view} current=${state} last=${last} counts=${counts} onOpen=${open} zoom=${zoom} />`}
  </${DiagramPane}>`;
}

function Events({ machine, model, readOnly, past }) {
  const [chosen, setChosen] = useState(null);
  const choices = useMemo(() => (model ? eventsFrom(model, machine.current_state) : []), [model, machine.current_state]);
  if (!model) return null;
  const timed = (event) => /^timeout\(/.test(event);
  const sendable = choices.filter(({ event }) => !timed(event));
  const send = (event) =>
    attempt(() => post(api("machines", machine.machine_name, "events"), { type: event, payload: {} }), `${event} sent to ${machine.machine_name}`);
  return html`<section class="card events" aria-label="Events">
    <h2>Events here</h2>
    ${sendable.length === 0 && html`<p class="muted">${model.finals.includes(machine.current_state) ? "A final state takes no events." : "This state takes none that can be sent."}</p>`}
    <ul class="event-buttons">
      ${sendable.map(({ event, to, wildcard }) => html`<li key=${event}>
        <button class="event" disabled=${readOnly || past} onClick=${() => send(event)} title=${`Send ${event}: leads to ${to}`}>
          <b>${event}</b><span>→ ${to}</span>${wildcard && html`<i>any state</i>`}</button>
        <button class="icon" disabled=${readOnly || past} aria-label=${`Send ${event} with a payload`} title="With a payload…" onClick=${() => setChosen(event)}>…</button>
      </li>`)}
    </ul>
    ${choices.filter(({ event }) => timed(event)).map(({ event, to }) => html`<p class="muted timed" key=${event}><code>${event}</code> leads to ${to}</p>`)}
    ${!readOnly && html`<button class="small" disabled=${past} onClick=${() => setChosen("")}>Another event…</button>`}
    ${readOnly && html`<p class="muted">This page is read-only.</p>`}
    ${past && html`<p class="muted">Go back to live to send events.</p>`}
    ${chosen !== null && html`<${EventDialog} machine=${machine.machine_name} event=${chosen} onClose=${() => setChosen(null)} />`}
  </section>`;
}

const Facts = ({ machine }) => html`<section class="card facts" aria-label="Facts"><dl>
  ${fact("Job", machine.current_job && html`<a href=${href("jobs", machine.current_job)}>${machine.current_job}</a>`)}
  ${fact("Last error", machine.last_error && machine.status !== "failed" && html`<span class="error-text" title=${machine.last_error}>${shortened(machine.last_error, 200)}</span>`)}
  ${fact("Definition", machine.config_type)}
  ${fact("Process", machine.pid && `${machine.pid}${machine.host ? ` on ${machine.host}` : ""}`)}
  ${fact("Started", machine.started_at && html`<${Time} at=${machine.started_at} />`)}
  ${fact("Last activity", machine.last_activity && html`<span><${Since} at=${machine.last_activity} /> ago</span>`)}
</dl></section>`;

const fact = (name, value) => value && html`<dt>${name}</dt><dd>${value}</dd>`;

/** The durations of its actions; machines of one definition are counted together. */
const Actions = ({ actions, type }) => html`<section class="card actions" aria-label="Actions">
  <h2>Actions</h2>
  <table title=${`All runs in machines of ${type}`}>
    <thead><tr><th>Type</th><th class="num">Runs</th><th class="num">Mean</th><th class="num" title="19 of 20 took no longer">95 %</th><th class="num">Failed</th></tr></thead>
    <tbody>${actions.map((action) => html`<tr key=${action.type}><td title=${action.type}>${action.type}</td><td class="num">${brief(action.count)}</td>
      <td class="num">${duration(action.mean_s)}</td><td class="num">${duration(action.p95_s)}</td>
      <td class=${`num ${action.failures ? "error-text" : "muted"}`}>${brief(action.failures)}</td></tr>`)}</tbody>
  </table>
</section>`;

const TABS = [["timeline", "Timeline"], ["log", "Log"], ["errors", "Errors"]];

function Past({ name, query, history, replay }) {
  const tab = TABS.some(([key]) => key === query.tab) ? query.tab : "timeline";
  const choose = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = TABS.findIndex(([key]) => key === tab);
    const next = TABS[(at + step + TABS.length) % TABS.length][0];
    setQuery({ tab: next });
    event.currentTarget.querySelector(`#tab-${next}`)?.focus();
  };
  return html`<section class="card past">
    <div class="tabs" role="tablist" aria-label="History" onKeyDown=${choose}>
      ${TABS.map(([key, title]) => html`<button key=${key} id=${`tab-${key}`} role="tab" aria-selected=${tab === key} tabindex=${tab === key ? 0 : -1}
        aria-controls="tab-panel" onClick=${() => setQuery({ tab: key })}>${title}</button>`)}
    </div>
    <div id="tab-panel" role="tabpanel" aria-labelledby=${`tab-${tab}`}>
      ${tab === "timeline" ? html`<${Timeline} history=${history} replay=${replay} />` : html`<${Log} key=${tab} name=${name} kind=${tab} />`}
    </div>
  </section>`;
}

function Timeline({ history, replay }) {
  const { moves, loading, more, loadMore, error } = history;
  const newest = useMemo(() => moves.map((move, i) => ({ ...move, i, left_at: moves[i + 1]?.at })).reverse(), [moves]);
  if (error && !moves.length) return html`<${Failure} error=${error} retry=${loadMore} />`;
  if (!moves.length) return html`<${Empty} title=${loading ? "Loading…" : "No transitions yet"} />`;
  const longest = Math.max(...newest.slice(0, 200).map((move) => (move.left_at ?? now()) - move.at), 0.001);
  return html`<${VirtualList} class="timeline" label="Timeline of transitions" items=${newest} rowHeight=${34} keyOf=${(move) => move.id} steady
    onEnd=${more && !loading ? loadMore : null}
    row=${(move) => html`<button class=${`move ${replay.index === move.i ? "chosen" : ""}`} onClick=${() => replay.show(move.i)} title="Show this moment on the diagram">
      <${Clock} at=${move.at} ms /><span class="from">${move.from}</span><span class="arrow" aria-label="to">→</span><${State} name=${move.to} />
      <span class="by">${move.event}</span>
      <span class="bar" aria-hidden="true"><i style=${{ width: `${Math.max(1, scaled((move.left_at ?? now()) - move.at, longest) * 100)}%` }}></i></span>
      <span class="num">${move.left_at ? duration(move.left_at - move.at) : html`<${Since} at=${move.at} />`}</span>
    </button>`} />`;
}

/** A logarithmic scale, because durations range from milliseconds to days. */
const scaled = (s, longest) => Math.log1p(s * 1000) / Math.log1p(longest * 1000);

function Log({ name, kind }) {
  const wanted = { limit: MOST_SHOWN, type: kind === "errors" ? [...ERRORS].join() : null };
  const load = (signal) => get(api("machines", name, "log"), wanted, signal).then(({ items }) => items.map(slim));
  const { data, error, loading, reload } = useLoaded(load, [name, kind]);
  const [added, setAdded] = useState([]);
  useEffect(() => {
    setAdded([]);
    return onEvents((events) => {
      const mine = events.filter((item) => item.machine_name === name && belongs(item, kind));
      if (mine.length) setAdded((all) => [...all, ...mine].slice(-MOST_SHOWN));
    });
  }, [name, kind]);
  const items = useMemo(() => {
    const seen = new Map();
    for (const item of [...(data ?? []), ...added]) if (belongs(item, kind)) seen.set(item.id, item);
    return [...seen.values()].sort((a, b) => b.id - a.id).slice(0, MOST_SHOWN * 2);
  }, [data, added]);
  if (error && !items.length) return html`<${Failure} error=${error} retry=${reload} />`;
  if (!items.length) return html`<${Empty} title=${loading ? "Loading…" : kind === "log" ? "Nothing logged yet" : "No errors"} />`;
  return html`<${VirtualList} class="log" label=${kind === "log" ? "Log" : "Errors"} items=${items} rowHeight=${30} keyOf=${(item) => item.id} steady
    row=${(item) => html`<${EventRow} item=${item} plain />`} />`;
}

const ERRORS = new Set(["error", "machine_failed", "job_failed", "unhandled"]);
const belongs = (item, kind) => (kind === "errors" ? ERRORS.has(item.type) : item.type !== "state_change");

/** The machine's transitions, oldest first; new ones are added as they happen. */
function useTimeline(name) {
  const [history, setHistory] = useState({ moves: [], more: false, loading: true, error: null });
  const oldest = useRef(null);
  const load = useCallback(
    async (control) => {
      try {
        const page = await get(api("machines", name, "timeline"), { limit: MOST_SHOWN, before: oldest.current }, control?.signal);
        const items = page.items.map(moveOf).sort((a, b) => a.id - b.id);
        oldest.current = items[0]?.id ?? oldest.current;
        setHistory((old) => ({ moves: merged(items, old.moves), more: items.length >= MOST_SHOWN, loading: false, error: null }));
      } catch (error) {
        if (error.name !== "AbortError") setHistory((old) => ({ ...old, loading: false, error }));
      }
    },
    [name],
  );
  useEffect(() => {
    oldest.current = null;
    setHistory({ moves: [], more: false, loading: true, error: null });
    const control = new AbortController();
    load(control);
    const stop = onEvents((events) => {
      const mine = events.filter((item) => item.machine_name === name && item.type === "state_change").map(moveOf);
      if (mine.length) setHistory((old) => ({ ...old, moves: merged(old.moves, mine).slice(-MOST_SHOWN * 10) }));
    });
    return () => (control.abort(), stop());
  }, [name]);
  return { ...history, loadMore: () => load() };
}

function moveOf(item) {
  const from = item.payload ?? item;
  return {
    id: item.id,
    from: from.from_state ?? from.from,
    to: from.to_state ?? from.to,
    event: from.event_trigger ?? from.event,
    at: epoch(item.timestamp ?? from.timestamp),
  };
}

function merged(older, newer) {
  if (older.length && newer.length && older.at(-1).id < newer[0].id) return [...older, ...newer];
  const all = new Map([...older, ...newer].map((move) => [move.id, move]));
  return [...all.values()].sort((a, b) => a.id - b.id);
}

function counted(counts, events, name, afterId) {
  const mine = events.filter((item) => item.id > afterId && item.machine_name === name && item.type === "state_change");
  if (!mine.length) return counts;
  const next = new Map(counts);
  for (const { payload: p } of mine) {
    const key = countKey(p.from_state, p.event_trigger, p.to_state);
    next.set(key, (next.get(key) ?? 0) + 1);
  }
  return next;
}

/** The count of each transition: the server's count and later events. */
function useCounts(name, data) {
  const [counts, setCounts] = useState(new Map());
  useEffect(() => {
    if (!data) return undefined;
    const known = new Map(data.counts.map(({ from, event, to, count }) => [countKey(from, event, to), count]));
    setCounts(counted(known, store.events, name, data.last_id));
    return onEvents((events) => setCounts((old) => counted(old, events, name, data.last_id)));
  }, [name, data]);
  return counts;
}
