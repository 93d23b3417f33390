// Formats times, durations and values for people.

let offset_s = 0;

/** Stores how far the server's clock is ahead of the browser's. */
export function setServerTime(epoch_s) {
  if (Number.isFinite(epoch_s)) offset_s = epoch_s - Date.now() / 1000;
}

/** Returns the server's time in epoch seconds. */
export const now = () => Date.now() / 1000 + offset_s;

/** Returns epoch seconds from a value of the API: a number, or "2026-11-24 05:37:04.123" in UTC. */
export function epoch(value) {
  if (value === null || value === undefined || value === "") return null;
  if (typeof value === "number") return value;
  const text = String(value);
  const parsed = Date.parse(/[zZ]|[+-]\d\d:?\d\d$/.test(text) ? text : `${text.replace(" ", "T")}Z`);
  return Number.isNaN(parsed) ? null : parsed / 1000;
}

const two = (n) => String(n).padStart(2, "0");

/** 14:03:22, or with `ms` 14:03:22.123 */
export function clock(value, ms = false) {
  const at_s = epoch(value);
  if (at_s === null) return "–";
  const date = new Date(at_s * 1000);
  const text = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return ms ? `${text}.${String(date.getMilliseconds()).padStart(3, "0")}` : text;
}

/** The time, preceded by the day if that is not today. */
export function when(value, ms = false) {
  const at_s = epoch(value);
  if (at_s === null) return "–";
  const date = new Date(at_s * 1000);
  const today = new Date(now() * 1000).toDateString() === date.toDateString();
  return today ? clock(at_s, ms) : `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(at_s, ms)}`;
}

/** Date and time, for a tooltip. */
export function exact(value) {
  const at_s = epoch(value);
  return at_s === null ? "" : `${new Date(at_s * 1000).toString()}`;
}

/** <1 ms, 350 ms, 4.2 s, 3m 20s, 2h 05m, 3d 4h */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  const s = Math.max(0, seconds);
  if (s > 0 && s < 0.0005) return "<1 ms";
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 10) return `${s.toFixed(1)} s`;
  return coarse(s);
}

/** 4 s, 3m 20s, 2h 05m, 3d 4h: for durations that are updated in a list. */
export function coarse(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${two(s % 60)}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${two(Math.floor((s % 3600) / 60))}m`;
  return `${Math.floor(s / 86400)}d ${Math.floor((s % 86400) / 3600)}h`;
}

export const count = (n) => Number(n ?? 0).toLocaleString("en-GB");

/** A short count: 999, 1.2k, 34k, 1.2M */
export function brief(n) {
  if (n < 1000) return String(n);
  if (n < 1e6) return `${(n / 1e3).toFixed(n < 1e4 ? 1 : 0)}k`;
  return `${(n / 1e6).toFixed(1)}M`;
}

/** A value as text: strings as they are, the rest as JSON. */
export function textOf(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A value as indented JSON; text that holds JSON is indented too. */
export function pretty(value) {
  if (typeof value !== "string") return JSON.stringify(value, null, 2) ?? "";
  try {
    const parsed = JSON.parse(value);
    return typeof parsed === "object" && parsed !== null ? JSON.stringify(parsed, null, 2) : value;
  } catch {
    return value;
  }
}

export const plural = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;

/** The beginning of a long text, for one line. */
export const shortened = (text, most = 160) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
