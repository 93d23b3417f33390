// The board: machines of one definition as cards, a column for each group. Only visible cards are in the document.
import { api, get } from "../api.js";
import { count, plural } from "../format.js";
import { modelOf } from "../graph.js";
import { html, memo, useLoaded, useMemo, useState } from "../lib.js";
import { go, href, setQuery } from "../router.js";
import { useMachines } from "../store.js";
import { conditionOf, Empty, Search, Select, Since, State } from "../ui.js";
import { VirtualList } from "../virtual.js";

const CARD_HEIGHT = 72;
const REST = "Other";

export function Board({ type, query }) {
  const { machines, ready } = useMachines();
  const kinds = kindsOf(machines);
  const chosen = type ?? kinds[0]?.[0];
  const members = (chosen ? [...machines.values()] : []).filter((machine) => (machine.config_type ?? machine.machine_name) === chosen);
  const first = members[0]?.machine_name;
  const { data } = useLoaded((signal) => (first ? get(api("machines", first), {}, signal) : Promise.resolve(null)), [chosen ?? "", first ? 1 : 0]);
  const model = useMemo(() => (data?.definition ? modelOf(data.definition) : null), [data]);
  const byState = query.by === "state" || (model && model.groups.size < 2);
  const needle = (query.q ?? "").trim().toLowerCase();
  const shown = needle ? members.filter((m) => [m.machine_name, m.current_state, m.current_job].some((v) => v?.toLowerCase().includes(needle))) : members;
  const columns = columnsOf(shown, model, byState);
  if (!ready) return html`<main class="page" id="main"><h1>Board</h1></main>`;
  if (!chosen) return html`<main class="page" id="main"><h1>Board</h1><${Empty} title="No machines yet" /></main>`;
  return html`<main class="page wide" id="main">
    <header class="page-head">
      <h1>Board</h1>
      <${Select} label="Definition" value=${chosen} onChange=${(value) => go(href("board", value))} options=${kinds.map(([kind, n]) => [kind, `${kind} (${count(n)})`])} />
      ${model?.groups.size > 1 && html`<button class="small" aria-pressed=${byState} onClick=${() => setQuery({ by: byState ? null : "state" })}>A column for each state</button>`}
      <span class="grow"></span>
      <${Search} value=${query.q ?? ""} placeholder="Search cards" onInput=${(q) => setQuery({ q })} />
    </header>
    ${members.length === 0 ? html`<${Empty} title=${`No machine runs ${chosen}`} />` : html`
    <div class="board" role="group" aria-label=${`Board of ${chosen}, ${plural(members.length, "machine")}`}>
      ${columns.map((column) => html`<${Column} key=${column.name} ...${column} />`)}
    </div>`}
  </main>`;
}

function Column({ name, cards, grouped }) {
  const failed = cards.filter((machine) => conditionOf(machine) === "failed").length;
  return html`<section class=${`column ${cards.length ? "" : "vacant"}`} aria-label=${`${name}, ${plural(cards.length, "machine")}`}>
    <h2><span>${name}</span>${failed > 0 && html`<span class="n bad" title=${`${failed} failed`}>${count(failed)}</span>`}<span class="n">${count(cards.length)}</span></h2>
    <${VirtualList} class="cards" label=${`Cards of ${name}`} items=${cards} rowHeight=${CARD_HEIGHT} keyOf=${(machine) => machine.machine_name}
      row=${(machine) => html`<${Card} machine=${machine} grouped=${grouped} />`} />
  </section>`;
}

const Card = memo(({ machine, grouped }) => html`
  <a class=${`card-item ${conditionOf(machine)}`} href=${href("machines", machine.machine_name)}>
    <b>${machine.machine_name}</b>
    <span class="for"><${Since} at=${machine.state_since ?? machine.last_activity} label="in this state since" /></span>
    <span class="detail">${grouped && html`<${State} name=${machine.current_state} />`}${detailOf(machine)}</span>
  </a>`);

function detailOf(machine) {
  const condition = conditionOf(machine);
  if (condition === "failed") return html`<span class="error-text">${machine.last_error ?? "failed"}</span>`;
  if (condition === "gone") return html`<span class="warn-text">no sign of life</span>`;
  return machine.current_job && html`<code>${machine.current_job}</code>`;
}

function kindsOf(machines) {
  const kinds = Map.groupBy(machines.values(), (machine) => machine.config_type ?? machine.machine_name);
  return [...kinds].map(([kind, members]) => [kind, members.length]).sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}

/** [{name, cards, grouped}] in the order of the definition; the longest in a column come first. */
function columnsOf(machines, model, byState) {
  const columnOf = new Map();
  const order = [];
  const grouped = model && !byState;
  const add = (name) => order.includes(name) || order.push(name);
  for (const state of model?.states ?? []) {
    const group = grouped ? [...model.groups].find(([, states]) => states.includes(state))?.[0] : null;
    columnOf.set(state, grouped ? (group ?? REST) : state);
    add(columnOf.get(state));
  }
  const cards = new Map(order.map((name) => [name, []]));
  for (const machine of machines) {
    const name = columnOf.get(machine.current_state) ?? (grouped ? REST : (machine.current_state ?? REST));
    add(name);
    if (!cards.has(name)) cards.set(name, []);
    cards.get(name).push(machine);
  }
  const since = (machine) => machine.state_since ?? machine.last_activity ?? 0;
  return order.map((name) => ({ name, grouped, cards: cards.get(name).sort((a, b) => failedFirst(a, b) || since(a) - since(b)) }));
}

const failedFirst = (a, b) => (conditionOf(b) === "failed") - (conditionOf(a) === "failed");
