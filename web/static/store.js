// The page's data: machines, newest events, connection. Changes are announced by topic, a few times a second.
import { get, getConfig } from "./api.js";
import { epoch, now, setServerTime } from "./format.js";
import { paced, useEffect, useState } from "./lib.js";
import { Stream } from "./stream.js";

const MOST_EVENTS = 5000;
const LONGEST_PAYLOAD = 2000;
const CATCH_UP_PAGE = 1000;
const MOST_MISSED = 50_000;
const REFRESH_MS = 20_000;
const FLUSH_MS = 80;
const DRAW_MS = 200;
const PULSE_MINUTES = 15;

export const store = {
  machines: new Map(),
  /** ascending by id, at most MOST_EVENTS of them */
  events: [],
  connection: { status: "connecting", heard_at: null, since: null },
  config: { read_only: true, version: "", title: "statemachine" },
  ready: false,
  /** machine -> Map of minute since the epoch -> events in it, for the sparklines */
  pulses: new Map(),
  received: 0,
  resyncs: 0,
};

const subscribers = new Map();
const changed = new Set();
const eventListeners = new Set();
let waiting = [];
let flushTimer = 0;
let hasPast = false;
let snapshotId = 0; // events up to this id are already part of the machines' state

/** Calls back after changes of a topic: "machines", "events", "connection", "config". Returns a function that stops it. */
export function subscribe(topic, callback) {
  if (!subscribers.has(topic)) subscribers.set(topic, new Set());
  subscribers.get(topic).add(callback);
  return () => subscribers.get(topic).delete(callback);
}

/** Renders the component again when one of these topics changes. */
export function useStore(...topics) {
  const [, setTurn] = useState(0);
  useEffect(() => {
    const stops = topics.map((topic) => subscribe(topic, () => setTurn((n) => n + 1)));
    return () => stops.forEach((stop) => stop());
  }, [topics.join()]);
  return store;
}

/** Renders again for all machines, at most a few times a second. */
export function useMachines() {
  const [, setTurn] = useState(0);
  useEffect(() => {
    const draw = paced(() => setTurn((n) => n + 1), DRAW_MS);
    const stop = subscribe("machines", draw);
    return () => (stop(), draw.cancel());
  }, []);
  return store;
}

/** Returns one machine's record, and renders again only when it changes. */
export function useMachine(name) {
  const [machine, setMachine] = useState(store.machines.get(name));
  useEffect(() => {
    const look = () => setMachine(store.machines.get(name));
    look();
    return subscribe("machines", look);
  }, [name]);
  return machine;
}

/** Calls back with every batch of new events. Returns a function that stops it. */
export function onEvents(callback) {
  eventListeners.add(callback);
  return () => eventListeners.delete(callback);
}

export const stream = new Stream({ initial, event, resync, status, ping });

export function start() {
  stream.connect();
  loadConfig();
  setInterval(() => document.hidden || stream.refresh(), REFRESH_MS);
}

function loadConfig() {
  const take = (config) => {
    store.config = { ...store.config, ...config };
    announce("config");
  };
  getConfig().then(take, () => {}); // the next connection asks again
}

/** Loads events from before the page was opened, so that a reload loses nothing. */
async function loadPast(upTo) {
  hasPast = true;
  try {
    await Promise.all([loadHistory(upTo), loadPulses()]);
  } catch {
    hasPast = false; // the next list of machines, within REFRESH_MS, tries again
  }
}

async function loadHistory(upTo) {
  const page = await get("/api/events", { before: upTo + 1, limit: 300 });
  const known = new Set(store.events.map(({ id }) => id));
  const older = page.items.filter(({ id }) => !known.has(id)).map(slim);
  store.events = [...older, ...store.events].sort((a, b) => a.id - b.id).slice(-MOST_EVENTS);
  announce("events");
}

function initial(frame) {
  setServerTime(frame.timestamp);
  snapshotId = frame.last_id ?? snapshotId;
  const old = store.machines;
  store.machines = new Map(
    (frame.machines ?? []).map((machine) => [machine.machine_name, unchanged(old.get(machine.machine_name), machine)]),
  );
  store.ready = true;
  if (frame.read_only !== undefined) store.config = { ...store.config, read_only: frame.read_only };
  announce("machines");
  announce("config");
  if (!hasPast) loadPast(snapshotId);
}

/** The old record where the new one says the same, so that its row need not be drawn again; the list may be a moment
 * older than the events that we have, which then know better. */
function unchanged(old, machine) {
  if (!old) return machine;
  const { current_state, state_since, current_job, last_activity } = old;
  const ahead = machine.running && old.running && old.pid === machine.pid && last_activity > machine.last_activity;
  const next = ahead ? { ...machine, current_state, state_since, current_job, last_activity } : machine;
  return JSON.stringify(old) === JSON.stringify(next) ? old : next;
}

function ping(frame) {
  setServerTime(frame.timestamp);
  store.connection.heard_at = now();
}

function event(received) {
  waiting.push(received);
  if (!flushTimer) flushTimer = setTimeout(flush, FLUSH_MS);
}

function flush() {
  flushTimer = 0;
  const batch = waiting;
  waiting = [];
  store.connection.heard_at = now();
  store.received += batch.length;
  const slimmed = batch.map(slim);
  slimmed.forEach(apply);
  store.events = store.events.length ? store.events.concat(slimmed).slice(-MOST_EVENTS) : slimmed.slice(-MOST_EVENTS);
  for (const listener of eventListeners) listener(slimmed);
  announce("events");
}

/** Resynchronises after a long pause: loads missing events, if they are not too many, then the machines. */
async function resync({ last_id: upTo }) {
  store.resyncs += 1;
  const from = stream.lastId ?? upTo;
  const isFar = upTo - from > MOST_MISSED || upTo < from; // lower ids are from another database
  if (isFar) reset(upTo);
  else await stream.holding(() => catchUp(from, upTo)).catch(() => {}); // disconnected again; the next connection resumes
  stream.refresh();
}

async function catchUp(from, upTo) {
  for (let since = from; since < upTo; ) {
    const { items } = await get("/api/events", { since, limit: CATCH_UP_PAGE });
    if (!items.length) return;
    items.forEach((item) => stream.deliver(item));
    since = items.at(-1).id;
  }
}

function reset(lastId) {
  stream.lastId = lastId;
  snapshotId = lastId;
  store.events = [];
  announce("reset");
  announce("events");
  loadPast(lastId);
}

function status(state) {
  const before = store.connection.status;
  if (state === "lost" && before === "lost") return;
  const since = state === "lost" ? (store.connection.heard_at ?? now()) : null;
  store.connection = { status: state, heard_at: state === "live" ? now() : store.connection.heard_at, since };
  announce("connection");
  if (state === "live" && before === "lost") loadConfig(); // the server may have changed
}

/** Returns the event with a shortened payload, because the page keeps thousands. */
export function slim(item) {
  const { payload } = item;
  const text = typeof payload === "string" ? payload : JSON.stringify(payload ?? null);
  if (text.length <= LONGEST_PAYLOAD) return item;
  const kept = { truncated: true };
  for (const [key, value] of Object.entries(typeof payload === "object" && payload ? payload : { message: payload })) {
    if (typeof value === "number" || typeof value === "boolean") kept[key] = value;
    else if (typeof value === "string") kept[key] = value.slice(0, 500);
    if (Object.keys(kept).length > 12) break;
  }
  return { ...item, payload: kept };
}

const CHANGES = {
  state_change: (p, at_s) => ({ current_state: p.to_state, state_since: at_s, running: true }),
  error: (p) => ({ last_error: p.error_message ?? p.message ?? "error" }),
  machine_failed: (p) => ({ status: "failed", last_error: p.error_message ?? null }),
  machine_terminated: () => ({ running: false, status: "ended" }),
  job_started: (p) => ({ current_job: p.job_id }),
  job_completed: () => ({ current_job: null }),
  job_failed: (p) => ({ current_job: null, last_error: p.error_message ?? null }),
};

function apply(item) {
  beat(item);
  if (item.id <= snapshotId) return;
  const machine = store.machines.get(item.machine_name);
  const payload = item.payload ?? {};
  if (item.type === "machine_registered") return void stream.refresh();
  const change = machine && CHANGES[item.type]?.(payload, item.timestamp);
  if (!change) return;
  if (item.type === "state_change" && machine.status === "ended") stream.refresh();
  store.machines.set(item.machine_name, { ...machine, ...change, last_activity: item.timestamp });
  announce("machines");
}

// Sparklines

function beat(item) {
  const at_s = epoch(item.timestamp);
  if (!item.machine_name || at_s === null) return;
  const minute = Math.floor(at_s / 60);
  let pulse = store.pulses.get(item.machine_name);
  if (!pulse) store.pulses.set(item.machine_name, (pulse = new Map()));
  pulse.set(minute, (pulse.get(minute) ?? 0) + 1);
  if (pulse.size > PULSE_MINUTES + 1) for (const old of pulse.keys()) if (old <= minute - PULSE_MINUTES) pulse.delete(old);
}

/** Returns the number of events in each of the last minutes, oldest first. */
export function pulseOf(name) {
  const newest = Math.floor(now() / 60);
  const pulse = store.pulses.get(name);
  return Array.from({ length: PULSE_MINUTES }, (_, i) => pulse?.get(newest - PULSE_MINUTES + 1 + i) ?? 0);
}

/** The server's counts of the last minutes, of all machines. */
async function loadPulses() {
  const { machines } = await get("/api/activity", { minutes: PULSE_MINUTES });
  const newest = Math.floor(now() / 60);
  for (const [name, counts] of Object.entries(machines)) {
    const minutes = counts.map((n, i) => [newest - counts.length + 1 + i, n]);
    store.pulses.set(name, new Map(minutes.filter(([, n]) => n)));
  }
  announce("machines");
}

// Announcements

function announce(topic) {
  if (changed.size === 0) queueMicrotask(tell);
  changed.add(topic);
}

function tell() {
  const topics = [...changed];
  changed.clear();
  for (const topic of topics) for (const callback of subscribers.get(topic) ?? []) callback();
}
