// Turns a machine's definition into nodes, edges and boxes of a diagram, without page or layout.

const ANY = "*";

/** The parts of a definition that a diagram needs: {states, transitions, initial, finals, groups: Map name -> states}. */
export const modelOf = ({ states, transitions, initial_state: initial, final: finals, groups }) => ({
  states: states.map(({ name }) => name),
  transitions,
  initial,
  finals,
  groups: new Map(Object.entries(groups)),
});

/** The graph `inside` a group, or of the whole machine, with `collapsed` groups as one node each; wildcard edges on demand.
 * Without those, states that only they lead to are left out, but for `kept`. */
export function graphOf(model, { inside = null, collapsed = false, wildcards = false, kept = null } = {}) {
  const draw = new Drawing(model, collapsed && !inside);
  const members = inside ? new Set(model.groups.get(inside) ?? []) : null;
  for (const state of members ?? model.states) draw.node(state);
  if (!inside && !collapsed) for (const [name, states] of model.groups) draw.box(name, states);
  if (!members || members.has(model.initial)) draw.begin(model.initial);
  for (const transition of model.transitions) {
    if (members && !members.has(transition.from) && !members.has(transition.to)) continue;
    if (transition.from === ANY && !wildcards) continue;
    draw.edge(transition, members);
  }
  for (const state of model.finals) if (!members || members.has(state)) draw.end(state);
  return draw.picture((node) => wildcards || inside || node.states.includes(kept));
}

/** States with wildcard edges only. */
export function strayStates(model) {
  const tied = new Set(model.transitions.filter(({ from }) => from !== ANY).flatMap(({ from, to }) => [from, to]));
  return model.states.filter((state) => !tied.has(state) && state !== model.initial);
}

class Drawing {
  constructor(model, collapsed) {
    this.model = model;
    this.nodes = new Map();
    this.edges = new Map();
    this.boxes = [];
    this.groupOf = new Map();
    this.collapsed = collapsed;
    for (const [name, states] of model.groups) for (const state of states) this.groupOf.set(state, name);
  }

  picture(isKept) {
    const [nodes, edges] = [[...this.nodes.values()], [...this.edges.values()]];
    const tied = new Set(edges.filter(({ target }) => target !== "end").flatMap(({ source, target }) => [source, target]));
    const gone = new Set(nodes.filter((node) => node.kind === "state" && !tied.has(node.key) && !isKept(node)).map(({ key }) => key));
    const left = edges.filter(({ source }) => !gone.has(source));
    if (!left.some(({ target }) => target === "end")) gone.add("end");
    const boxes = this.boxes.map((box) => ({ ...box, nodes: box.nodes.filter((key) => !gone.has(key)) }));
    return { nodes: nodes.filter(({ key }) => !gone.has(key)), edges: left, boxes: boxes.filter((box) => box.nodes.length) };
  }

  keyOf(state) {
    const group = this.collapsed && this.groupOf.get(state);
    return group ? `group:${group}` : `state:${state}`;
  }

  node(state, kind = "state") {
    const key = this.keyOf(state);
    const known = this.nodes.get(key);
    if (known) {
      known.states.push(state);
      return key;
    }
    const group = key.startsWith("group:") ? this.groupOf.get(state) : null;
    const final = this.model.finals.includes(state);
    this.nodes.set(key, { key, label: group ?? state, kind: group ? "group" : kind, group, states: [state], final });
    return key;
  }

  box(name, states) {
    this.boxes.push({ key: `box:${name}`, label: name, nodes: states.map((state) => this.keyOf(state)) });
  }

  begin(state) {
    this.nodes.set("start", { key: "start", label: "", kind: "start", states: [] });
    this.arrow("start", this.keyOf(state), null);
  }

  end(state) {
    this.nodes.set("end", { key: "end", label: "", kind: "end", states: [] });
    this.arrow(this.keyOf(state), "end", null);
  }

  edge({ from, to, event, internal }, members) {
    const kind = (state) => (members && !members.has(state) ? "outside" : "state");
    if (from === ANY) this.nodes.set("any", { key: "any", label: "any state", kind: "any", states: [] });
    const target = internal && from !== ANY ? from : to;
    const source = from === ANY ? "any" : this.ensure(from, kind(from));
    const goal = target === ANY ? "any" : this.ensure(target, kind(target));
    if (this.collapsed && source === goal && source.startsWith("group:")) return;
    this.arrow(source, goal, { from, to, event });
  }

  ensure(state, kind) {
    const key = this.keyOf(state);
    return this.nodes.has(key) ? key : this.node(state, kind);
  }

  arrow(source, target, move) {
    const key = `${source}\u0000${target}`;
    if (!this.edges.has(key)) this.edges.set(key, { key, source, target, moves: [] });
    if (move) this.edges.get(key).moves.push(move);
  }
}

const MOST_EVENTS_SHOWN = 3;

/** The lines beside an arrow: one for each event, and the number of further ones. */
export function linesOf(edge) {
  const events = [...new Set(edge.moves.map(({ event }) => event))];
  if (events.length <= MOST_EVENTS_SHOWN) return events;
  return [...events.slice(0, MOST_EVENTS_SHOWN - 1), `+${events.length - MOST_EVENTS_SHOWN + 1} more`];
}

/** Returns true if the arrow stands for this transition of the audit log. */
export function stands(edge, { from, to, event }) {
  return edge.moves.some(
    (move) => (move.from === from || move.from === ANY) && move.to === to && (event === undefined || move.event === event),
  );
}

/** The events that can be sent in a state: [{event, to, internal}], its own before those from any state. */
export function eventsFrom(model, state) {
  const own = model.transitions.filter(({ from }) => from === state);
  const any = model.transitions.filter(({ from }) => from === ANY);
  const seen = new Map();
  for (const { event, to, from } of [...own, ...any]) if (!seen.has(event)) seen.set(event, { event, to, wildcard: from === ANY });
  return [...seen.values()];
}
