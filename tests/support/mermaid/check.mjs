// Reads [{kind: "mermaid" | "dot", text, depth: "parse" | "structure" | "render"}] as JSON from standard input and
// prints what Mermaid and Graphviz made of each: {error} or {nodes: [{id, label, parent}], edges: [[from, to, label]]}.
// usage: node check.mjs NODE_MODULES

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import vm from "node:vm";

const require = createRequire(resolve(process.argv[2], "package.json"));

function loadMermaid() {
  const { JSDOM } = require("jsdom");
  const { window } = new JSDOM("<!doctype html><body></body>", { pretendToBeVisual: true });
  window.SVGElement.prototype.getBBox = () => ({ x: 0, y: 0, width: 80, height: 20 }); // jsdom lays nothing out
  window.SVGElement.prototype.getComputedTextLength = () => 80;
  globalThis.window = window;
  for (const name of ["document", "Element", "SVGElement", "HTMLElement", "Node", "DOMParser", "XMLSerializer", "CSSStyleSheet"]) {
    globalThis[name] = window[name];
  }
  vm.runInThisContext(readFileSync(require.resolve("@mermaid-js/tiny"), "utf8"));
  globalThis.mermaid.initialize({ startOnLoad: false, securityLevel: "strict", maxTextSize: 1e7, logLevel: "fatal" });
  return globalThis.mermaid;
}

// Mermaid keeps #59; as a mark of its own until the browser has the label.
const decoded = (text) => text?.replace(/ﬂ°°(\d+)¶ß/g, (_, code) => String.fromCodePoint(Number(code)));

async function readMermaid(mermaid, { text, depth }, number) {
  if (depth === "render") await mermaid.render(`diagram-${number}`, text);
  if (depth === "parse") await mermaid.parse(text);
  if (depth !== "structure") return {};
  const { db } = await mermaid.mermaidAPI.getDiagramFromText(text);
  const { nodes, edges } = db.getData();
  return {
    nodes: nodes.map(({ id, label, parentId }) => ({ id, label: decoded(label), parent: parentId ?? null })),
    edges: edges.map(({ start, end, label }) => [start, end, decoded(label) ?? ""]),
  };
}

function readDot(viz, { text }) {
  const { objects = [], edges = [] } = viz.renderJSON(text);
  const nodes = objects.filter(({ nodes }) => nodes === undefined);
  return {
    nodes: nodes.map(({ name, label }) => ({ id: name, label, parent: null })),
    edges: edges.map(({ tail, head, label }) => [objects[tail].name, objects[head].name, label ?? ""]),
  };
}

const wanted = JSON.parse(readFileSync(0, "utf8"));
const mermaid = wanted.some(({ kind }) => kind === "mermaid") && loadMermaid();
const viz = wanted.some(({ kind }) => kind === "dot") && (await (await import(require.resolve("@viz-js/viz"))).instance());
const answers = [];
for (const [number, one] of wanted.entries()) {
  try {
    answers.push(one.kind === "dot" ? readDot(viz, one) : await readMermaid(mermaid, one, number));
  } catch (error) {
    answers.push({ error: String(error?.message ?? error) });
  }
}
process.stdout.write(JSON.stringify(answers), () => process.exit(0)); // jsdom's timers would keep it alive
