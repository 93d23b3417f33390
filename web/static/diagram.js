// The diagram of a machine: current state, last transition, counts beside the arrows.
import { brief, count, plural } from "./format.js";
import { graphOf, linesOf, stands, strayStates } from "./graph.js";
import { layoutOf, short } from "./layout.js";
import { html, useEffect, useMemo, useRef, useState } from "./lib.js";

const MARGIN = 14;
const LINE = 14;
/** Zoom levels: the smallest one, and the smallest that is readable. */
const SMALLEST = 0.1;
const READABLE = 0.6;

export const countKey = (from, event, to) => `${from}\u0000${event}\u0000${to}`;

/** `current` a state, `last` {from, to, event, id}, `counts` Map of countKey -> number, `onOpen(group)`. */
export function Diagram({ model, view, current, last, counts, onOpen, name, zoom }) {
  const strays = useMemo(() => new Set(strayStates(model)), [model]);
  const kept = strays.has(current) ? current : null;
  const graph = useMemo(() => graphOf(model, { ...view, kept }), [model, view.inside, view.collapsed, view.wildcards, kept]);
  const { geometry, error } = useGeometry(graph);
  if (error) return html`<p class="empty">The diagram could not be drawn: ${error.message}</p>`;
  if (!geometry) return html`<p class="empty diagram-wait">Drawing…</p>`;
  const width = geometry.width + 2 * MARGIN + roomForLoops(graph, geometry);
  const height = geometry.height + 2 * MARGIN;
  const box = `${geometry.left - MARGIN} ${geometry.top - MARGIN} ${width} ${height}`;
  const lit = graph.nodes.find((node) => node.states.includes(current));
  return html`
    <svg class="diagram" viewBox=${box} width=${width * zoom} height=${height * zoom} role="group"
      aria-label=${`State diagram of ${name}. Current state: ${current ?? "unknown"}`}>
      <${Markers} />
      ${graph.boxes.map((item) => html`<${Box} key=${item.key} item=${item} at=${geometry.boxes.get(item.key)} onOpen=${onOpen} />`)}
      ${graph.edges.map((edge) => html`<${Edge} key=${edge.key} edge=${edge} at=${geometry.edges.get(edge.key)}
        node=${geometry.nodes.get(edge.source)} counts=${counts} last=${last && stands(edge, last) ? last : null} />`)}
      ${graph.nodes.map((node) => html`<${Node} key=${node.key} node=${node} at=${geometry.nodes.get(node.key)}
        lit=${node === lit} was=${Boolean(last && node !== lit && node.states.includes(last.from))} current=${current} onOpen=${onOpen} />`)}
    </svg>`;
}

function useGeometry(graph) {
  const [answer, setAnswer] = useState({ graph: null });
  useEffect(() => {
    let wanted = true;
    layoutOf(graph, roomNow()).then(
      (geometry) => wanted && setAnswer({ graph, geometry }),
      (error) => wanted && setAnswer({ graph, error }),
    );
    return () => (wanted = false);
  }, [graph]);
  return answer.graph === graph ? answer : {};
}

/** Returns the space that a diagram may take, beside the side column and below its tools. */
const roomNow = () => ({ width: innerWidth > 1000 ? Math.min(innerWidth, 1320) - 400 : innerWidth - 60, height: highest() });
const highest = () => Math.max(340, innerHeight * 0.6);

function roomForLoops(graph, geometry) {
  const loops = graph.edges.filter(({ source, target }) => source === target);
  const right = geometry.left + geometry.width;
  const needed = loops.map(({ source, ...edge }) => {
    const at = geometry.nodes.get(source);
    return at ? at.x + at.width / 2 + 34 + Math.max(...linesOf(edge).map((line) => short(line).length)) * 7 + 30 - right : 0;
  });
  return Math.max(0, ...needed);
}

const Markers = () => html`
  <defs>
    ${["arrow", "arrow-lit"].map(
      (id) => html`<marker id=${id} viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
        <path d="M0,1 L10,5 L0,9 z" class=${id} />
      </marker>`,
    )}
  </defs>`;

function Box({ item, at, onOpen }) {
  if (!at) return null;
  return html`<g class="box" transform=${`translate(${at.x},${at.y})`}>
    <rect x=${at.left} y=${at.top} width=${at.width} height=${at.height} rx="10" />
    <text x=${at.left + 12} y=${at.top + 16} ...${pressable(() => onOpen(item.label), `${short(item.label)}: open the group`)}>${short(item.label)}</text>
  </g>`;
}

function Node({ node, at, lit, was, current, onOpen }) {
  if (!at) return null;
  const place = `translate(${at.x},${at.y})`;
  if (node.kind === "start") return html`<circle class="node-start" transform=${place} r="7" />`;
  if (node.kind === "end") return html`<g class="node-end" transform=${place}><circle r="7" /><circle r="3.5" /></g>`;
  const classes = ["node", `node-${node.kind}`, lit && "lit", was && "was", node.final && "final"].filter(Boolean).join(" ");
  const width = at.width + 8;
  const sub = node.kind === "group" ? (lit ? short(current) : plural(node.states.length, "state")) : null;
  const press = sub ? pressable(() => onOpen(node.group), `${short(node.label)} ${sub}: open the group`) : {};
  return html`<g class=${classes} transform=${place} data-state=${node.states.join(" ")} ...${press} aria-current=${lit ? "step" : null}>
    ${lit && html`<rect class="halo" x=${-width / 2 - 4} y=${-at.height / 2 - 4} width=${width + 8} height=${at.height + 8} rx="12" />`}
    <rect x=${-width / 2} y=${-at.height / 2} width=${width} height=${at.height} rx=${node.kind === "group" ? 6 : 9} />
    <text y=${sub ? -1 : 4.5}>${short(node.label)}</text>
    ${sub && html`<text class="sub" y="11">${sub}</text>`}
    ${!sub && html`<title>${node.label}</title>`}
  </g>`;
}

function Edge({ edge, at, node, counts, last }) {
  const loop = edge.source === edge.target && node ? loopAt(node) : null;
  const paths = loop ? [loop] : (at?.paths ?? []);
  const classes = ["edge", last && "lit", (edge.source === "start" || edge.target === "end") && "quiet", edge.source === "any" && "wild"];
  const lines = linesOf(edge);
  const x = loop ? loop.labelX : at?.x;
  const y = loop ? loop.labelY : at?.y;
  return html`<g class=${classes.filter(Boolean).join(" ")} data-edge=${edge.moves.map(({ event }) => event).join(" ")}>
    ${paths.map((path, i) => html`<path d=${path.path} transform=${`translate(${path.x},${path.y})`}
      marker-end=${i === paths.length - 1 ? `url(#arrow${last ? "-lit" : ""})` : null} />`)}
    ${last && paths.map((path) => html`<path key=${`run${last.id}`} class="runner" pathLength="1" d=${path.path} transform=${`translate(${path.x},${path.y})`} />`)}
    ${x !== null && x !== undefined && html`<text x=${x} y=${y - ((lines.length - 1) * LINE) / 2 + 4} class=${loop ? "left" : null}>
      ${lines.map((line, i) => html`<tspan key=${i} x=${x} dy=${i ? LINE : 0}>${short(line)}${times(edge, line, counts)}</tspan>`)}
      <title>${edge.moves.map(({ from, to, event }) => `${from} → ${to}: ${event}`).join("\n")}</title>
    </text>`}
  </g>`;
}

function times(edge, event, counts) {
  const total = edge.moves.filter((move) => move.event === event).reduce((sum, { from, to }) => sum + (counts?.get(countKey(from, event, to)) ?? 0), 0);
  return total ? html`<tspan class="count" aria-label=${`taken ${count(total)} times`}> ×${brief(total)}</tspan>` : null;
}

function loopAt({ x, y, width }) {
  const right = x + width / 2 + 4;
  const path = `M${right},${y - 6} C${right + 28},${y - 18} ${right + 28},${y + 18} ${right},${y + 6}`;
  return { path, x: 0, y: 0, labelX: right + 26, labelY: y };
}

function pressable(act, label) {
  const onKeyDown = (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    act();
  };
  return { tabindex: 0, role: "button", "aria-label": label, onClick: act, onKeyDown };
}

/** The pane around a diagram: zoom, scrolling, and keeping the current state visible. */
export function DiagramPane({ children, tools, current }) {
  const pane = useRef(null);
  const [zoom, setZoom] = useState(1);
  const [least, setLeast] = useState(READABLE); // smallest zoom when fitting to the pane; null: it does not fit
  useEffect(() => {
    const measure = () => least && pane.current && setZoom(fitting(pane.current, least));
    const observer = new ResizeObserver(measure);
    const watcher = new MutationObserver(measure);
    observer.observe(pane.current);
    watcher.observe(pane.current, { childList: true, subtree: true, attributes: true, attributeFilter: ["viewBox"] });
    measure();
    return () => (observer.disconnect(), watcher.disconnect());
  }, [least]);
  useEffect(() => keepInSight(pane.current), [current, zoom]);
  const by = (factor) => (setLeast(null), setZoom((z) => Math.min(3, Math.max(SMALLEST, z * factor))));
  return html`<div class="diagram-tools">
      ${tools}
      <span class="grow"></span>
      <span class="zoom">
        <button class="icon" aria-label="Smaller" title="Smaller" onClick=${() => by(1 / 1.25)}>−</button>
        <button class="icon" aria-label="Larger" title="Larger" onClick=${() => by(1.25)}>+</button>
        <button class="small" onClick=${() => setLeast(SMALLEST)} aria-pressed=${least === SMALLEST}>Fit</button>
      </span>
    </div>
    <div class="diagram-pane" ref=${pane} tabindex="0" role="region" aria-label="Diagram">${children(zoom)}</div>`;
}

/** Returns the zoom, at least `least`, that shows the whole width, and the height if text stays readable. */
function fitting(pane, least) {
  const box = pane?.querySelector("svg.diagram")?.viewBox.baseVal;
  if (!box?.width) return 1;
  const wide = (pane.clientWidth - 2) / box.width;
  const high = (highest() - 2) / box.height;
  return Math.min(1.3, Math.max(least, Math.min(wide, Math.max(high, 0.78))));
}

function keepInSight(pane) {
  const node = pane?.querySelector(".node.lit");
  if (!node || (pane.scrollWidth <= pane.clientWidth && pane.scrollHeight <= pane.clientHeight)) return;
  const [outer, inner] = [pane.getBoundingClientRect(), node.getBoundingClientRect()];
  if (inner.left < outer.left || inner.right > outer.right) pane.scrollLeft += inner.left + inner.width / 2 - outer.left - outer.width / 2;
  if (inner.top < outer.top || inner.bottom > outer.bottom) pane.scrollTop += inner.top + inner.height / 2 - outer.top - outer.height / 2;
}
