// Computes the places of a diagram's parts. Mermaid only measures: it gets texts of the same width instead of names, and
// its drawing is discarded. So no text of a user is interpreted by Mermaid, and the page draws the diagram itself, in
// its own colours, without inline styles.
import { linesOf } from "./graph.js";

const LONGEST_NAME = 26;
const ROOM_FOR_COUNT = "_x000";
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif";

const known = new Map();
let queue = Promise.resolve();
let serial = 0;
let mermaid = null;

/** {left, top, width, height, nodes: Map key -> {x, y, width, height}, edges: Map key -> {paths, x, y}, boxes: Map},
 * from top to bottom or from left to right, as it fills the `room` {width, height} better. */
export async function layoutOf(graph, room) {
  const down = await placed(sourceOf(graph, "TB"));
  const isFine = scaleIn(room, down) > 0.95 || room.width < 600;
  const across = isFine ? down : await placed(sourceOf(graph, "LR"));
  return named(scaleIn(room, across) > scaleIn(room, down) * 1.1 ? across : down, graph);
}

const scaleIn = (room, { width, height }) => Math.min(room.width / width, room.height / height);

function placed(text) {
  if (!known.has(text)) {
    if (known.size > 40) known.clear();
    queue = queue.then(() => place(text));
    known.set(text, queue);
    queue.catch(() => known.delete(text));
    queue = queue.catch(() => {});
  }
  return known.get(text);
}

export const short = (name) => (name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name);

function sourceOf({ nodes, edges, boxes }, direction) {
  const ids = new Map(nodes.map(({ key }, i) => [key, `n${i}`]));
  const declare = (node) => `state "${standIn(node.label)}" as ${ids.get(node.key)}`;
  const named = nodes.filter(({ kind }) => kind !== "start" && kind !== "end");
  const lines = ["stateDiagram-v2", `direction ${direction}`];
  const boxOf = new Map(boxes.flatMap((box, i) => box.nodes.map((key) => [key, i])));
  const begun = new Set();
  for (const node of named) {
    const i = boxOf.get(node.key);
    if (i === undefined) lines.push(declare(node));
    else if (!begun.has(i)) {
      begun.add(i);
      lines.push(`state "${standIn(boxes[i].label)}" as b${i} {`, `direction ${direction}`);
      lines.push(...named.filter(({ key }) => boxOf.get(key) === i).map(declare), "}");
    }
  }
  for (const edge of edges) {
    const label = linesOf(edge).map((line) => standIn(line) + ROOM_FOR_COUNT).join("<br/>");
    lines.push(`${end(ids, edge.source)} --> ${end(ids, edge.target)}${label ? ` : ${label}` : ""}`);
  }
  return lines.join("\n");
}

const end = (ids, key) => (key === "start" || key === "end" ? "[*]" : ids.get(key));

/** Characters of about the same width without a meaning in Mermaid. */
function standIn(name) {
  return short(name).replace(/[^A-Za-z0-9_]/gu, (char) => (char.codePointAt(0) > 0x2e7f ? "WW" : "x")) || "x";
}

async function place(text) {
  await loadMermaid();
  const id = `layout${++serial}`;
  const { svg } = await withoutInlineStyles(() => mermaid.render(id, text));
  const plain = svg.replace(/<style>[^]*?<\/style>/g, "").replace(/ style="[^"]*"/g, "");
  return geometryOf(new DOMParser().parseFromString(plain, "text/html").querySelector("svg"));
}

function loadMermaid() {
  if (mermaid) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("./vendor/mermaid.js", import.meta.url);
    script.onload = () => {
      mermaid = globalThis.mermaid;
      mermaid.initialize({
        startOnLoad: false,
        // "strict" would have DOMPurify parse inline styles, which the page's policy forbids; there is nothing to purify
        securityLevel: "loose",
        htmlLabels: false,
        flowchart: { htmlLabels: false },
        fontFamily: FONT,
        themeVariables: { fontFamily: FONT, fontSize: "13px" },
        fontSize: 13,
        state: { nodeSpacing: 34, rankSpacing: 38, padding: 10 },
        maxTextSize: 1_000_000,
        maxEdges: 5_000,
      });
      resolve();
    };
    script.onerror = () => reject(new Error("vendor/mermaid.js could not be loaded"));
    document.head.append(script);
  });
}

/** Mermaid sets styles through markup, which the policy forbids. While it measures they go through the CSSOM instead. */
async function withoutInlineStyles(work) {
  const { setAttribute } = Element.prototype;
  const { insertBefore } = Node.prototype;
  const before = document.adoptedStyleSheets;
  Element.prototype.setAttribute = function (name, value) {
    if (name === "style" && this.style) this.style.cssText = value;
    else setAttribute.call(this, name, value);
  };
  Node.prototype.insertBefore = function (node, next) {
    if (node?.localName !== "style") return insertBefore.call(this, node, next);
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(node.textContent);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    return node;
  };
  try {
    return await work();
  } finally {
    Element.prototype.setAttribute = setAttribute;
    Node.prototype.insertBefore = insertBefore;
    document.adoptedStyleSheets = before;
  }
}

function geometryOf(svg) {
  const [left, top, width, height] = svg.getAttribute("viewBox").split(/[ ,]+/).map(Number);
  const geometry = { left, top, width, height, nodes: [], edges: [], labels: [], boxes: [] };
  for (const node of svg.querySelectorAll("g.node")) geometry.nodes.push({ id: idOf(node), ...shifted(node), ...sizeOf(node) });
  for (const box of svg.querySelectorAll("g.statediagram-cluster")) {
    const rect = box.querySelector("rect");
    geometry.boxes.push({ id: box.getAttribute("data-id"), ...shifted(box), ...rectOf(rect) });
  }
  for (const path of svg.querySelectorAll("path[data-edge]")) {
    geometry.edges.push({ id: path.getAttribute("data-id") ?? path.id, path: path.getAttribute("d"), ...shifted(path) });
  }
  for (const label of svg.querySelectorAll("g.edgeLabel")) {
    const inner = label.querySelector("[data-id]");
    if (label.hasAttribute("transform")) geometry.labels.push({ id: inner?.getAttribute("data-id"), ...shifted(label) });
  }
  return geometry;
}

/** "layout1-state-n3-12" -> "n3" */
const idOf = (node) => /-state-(.+)-\d+$/.exec(node.id)?.[1] ?? node.getAttribute("data-id") ?? node.id;

function shifted(element) {
  let x = 0;
  let y = 0;
  for (let at = element; at && at.localName !== "svg"; at = at.parentElement) {
    const match = /translate\(\s*(-?[\d.]+)[ ,]+(-?[\d.]+)\s*\)/.exec(at.getAttribute("transform") ?? "");
    if (match) {
      x += Number(match[1]);
      y += Number(match[2]);
    }
  }
  return { x, y };
}

function sizeOf(node) {
  const rect = node.querySelector("rect.basic, rect.label-container, rect");
  if (rect && Number(rect.getAttribute("width"))) return { width: Number(rect.getAttribute("width")), height: Number(rect.getAttribute("height")) };
  return { width: 14, height: 14 };
}

const rectOf = (rect) => ({
  left: Number(rect.getAttribute("x")),
  top: Number(rect.getAttribute("y")),
  width: Number(rect.getAttribute("width")),
  height: Number(rect.getAttribute("height")),
});

/** The geometry under the graph's own keys. */
function named(geometry, graph) {
  const nodes = new Map();
  for (const node of geometry.nodes) {
    const number = /^n(\d+)$/.exec(node.id)?.[1];
    const key = number === undefined ? (/end$/.test(node.id) ? "end" : "start") : graph.nodes[number].key;
    nodes.set(key, node);
  }
  const edges = new Map();
  const at = (id) => graph.edges[/^edge(\d+)/.exec(id ?? "")?.[1]]?.key;
  for (const { id, path, x, y } of geometry.edges) {
    const key = at(id);
    if (!edges.has(key)) edges.set(key, { paths: [], x: null, y: null });
    edges.get(key).paths.push({ path, x, y });
  }
  for (const { id, x, y } of geometry.labels) Object.assign(edges.get(at(id)) ?? {}, { x, y });
  const boxes = new Map(geometry.boxes.map((box) => [graph.boxes[box.id.slice(1)]?.key, box]));
  return { ...geometry, nodes, edges, boxes };
}
