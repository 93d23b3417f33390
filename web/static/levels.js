// The level, the kind and the one-line text of an event of the audit log.
import { duration, shortened, textOf } from "./format.js";

export const LEVELS = ["error", "warning", "success", "info", "debug"];

const LEVEL_OF_TYPE = {
  error: "error",
  machine_failed: "error",
  job_failed: "error",
  unhandled: "warning",
  action_retry: "warning",
  stuck: "warning",
  control: "warning",
  job_completed: "success",
  state_change: "debug",
};

/** Log lines of the engine about received events; they are filtered, because they are many. */
const isMail = ({ type, payload }) => type === "activity_log" && Array.isArray(payload?.payload_keys);

const ALIASES = { warn: "warning", critical: "error", fatal: "error", notice: "info", ok: "success" };

/** One of LEVELS. */
export function levelOf(event) {
  const given = String(event.payload?.level ?? "").toLowerCase();
  const level = ALIASES[given] ?? given;
  if (isMail(event)) return "debug";
  if (LEVELS.includes(level)) return level;
  return LEVEL_OF_TYPE[event.type] ?? "info";
}

const TELL = {
  state_change: (p) => `${textOf(p.from_state)} → ${textOf(p.to_state)}  (${textOf(p.event_trigger)})`,
  error: (p) => textOf(p.error_message ?? p.message),
  machine_failed: (p) => `Failed in ${textOf(p.state)}: ${textOf(p.error_message)}`,
  stuck: (p) => `${textOf(p.what)} has been going on for ${duration(p.seconds)}`,
  unstuck: (p) => `${textOf(p.what)} is over after ${duration(p.seconds)}`,
  unhandled: (p) => `No transition for ${textOf(p.event)} in ${textOf(p.state)}`,
  action_retry: (p) =>
    `${textOf(p.action)}: try ${textOf(p.attempt)} of ${textOf(p.attempts)} in ${duration(p.delay_s)}: ${textOf(p.error_message)}`,
  job_started: (p) => `Job ${textOf(p.job_id)} started`,
  job_completed: (p) => `Job ${textOf(p.job_id)} completed`,
  job_failed: (p) => `Job ${textOf(p.job_id)} failed: ${textOf(p.error_message)}`,
  machine_registered: (p) => `Started in ${textOf(p.current_state)}`,
  machine_terminated: (p) => `Ended${p.state ? ` in ${textOf(p.state)}` : ""}${p.outcome ? ` (${textOf(p.outcome)})` : ""}`,
  control: (p) => `${textOf(p.action)} ${textOf(p.target)} by ${textOf(p.by ?? p.address)}`,
};

const TYPE_LABELS = {
  state_change: "transition",
  activity_log: "log",
  machine_registered: "started",
  machine_terminated: "ended",
  machine_failed: "failed",
  action_retry: "retry",
  job_started: "job",
  job_completed: "job",
  job_failed: "job",
};

export const labelOf = (type) => TYPE_LABELS[type] ?? type;

/** The kind of an event in one word. */
export const kindOf = (event) => (isMail(event) ? "received" : labelOf(event.type));

/** One line. */
export function messageOf(event) {
  const payload = event.payload;
  if (payload === null || typeof payload !== "object") return shortened(textOf(payload), 500);
  if (isMail(event)) return `${textOf(payload.event_type ?? payload.type)}${payload.source ? ` from ${textOf(payload.source)}` : ""}`;
  const tell = TELL[event.type];
  const text = tell ? tell(payload) : textOf(payload.message ?? payload);
  return shortened(text.trim() || event.type, 500);
}
