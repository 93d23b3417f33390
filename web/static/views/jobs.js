// The jobs view: search jobs, see their history, retry or cancel them.
import { api, get, post } from "../api.js";
import { count, duration, epoch, now, plural, shortened } from "../format.js";
import { html, paced, useEffect, useLoaded, useMemo, useRef, useSettled, useState } from "../lib.js";
import { href, setQuery } from "../router.js";
import { onEvents, useStore } from "../store.js";
import { attempt, Chips, Code, Confirm, Empty, Failure, Search, Since, State, Status, Time } from "../ui.js";
import { NewJobDialog } from "../newjob.js";

const STATUSES = ["pending", "scheduled", "processing", "completed", "failed", "cancelled"];
const PAGE = 100;
const RETRYABLE = new Set(["failed", "cancelled", "processing"]);
const BAD_OUTCOMES = new Set(["failed", "timed_out", "lost"]);
const CANCELLABLE = new Set(["pending", "scheduled", "processing"]);

export function Jobs({ id, query }) {
  const { config } = useStore("config");
  const jobs = useJobs(query);
  const [chosen, setChosen] = useState(new Set());
  const [adding, setAdding] = useState(false);
  const filter = (changes) => (setChosen(new Set()), setQuery(changes));
  const status = new Set(query.status ? [query.status] : []);
  return html`<main class=${`page jobs-page ${id ? "with-detail" : ""}`} id="main">
    <header class="page-head">
      <h1>Jobs</h1>
      <${Chips} label="Filter by status" chosen=${status} options=${STATUSES.map((value) => ({ value, tone: value === "failed" && jobs.counts?.failed ? "bad" : "", n: jobs.counts?.[value] && count(jobs.counts[value]) }))}
        onToggle=${(value) => filter({ status: status.has(value) ? null : value })} />
      <span class="grow"></span>
      ${!config.read_only && html`<button class="primary" onClick=${() => setAdding(true)}>Add a job…</button>`}
    </header>
    <div class="filters">
      <${Search} value=${query.q ?? ""} placeholder="Search id and payload" onInput=${(q) => filter({ q })} />
      <${Search} value=${query.type ?? ""} placeholder="Type" onInput=${(type) => filter({ type })} />
      <${Search} value=${query.machine_type ?? ""} placeholder="Machine type" onInput=${(machine_type) => filter({ machine_type })} />
      <${Search} value=${query.machine ?? ""} placeholder="Machine" onInput=${(machine) => filter({ machine })} />
    </div>
    ${chosen.size > 0 && html`<${Bulk} jobs=${jobs.items.filter((job) => chosen.has(job.job_id))} clear=${() => setChosen(new Set())} reload=${jobs.reload} />`}
    <div class="jobs-columns">
      <div class="jobs-list">
        ${jobs.error && html`<${Failure} error=${jobs.error} retry=${jobs.reload} />`}
        ${jobs.items.length > 0 ? html`<${Table} jobs=${jobs} open=${id} chosen=${chosen} setChosen=${setChosen} readOnly=${config.read_only} query=${query} />`
          : !jobs.error && html`<${Empty} title=${jobs.loading ? "Loading…" : anyFilter(query) ? "No job matches" : "No jobs yet"}>
              ${!jobs.loading && !anyFilter(query) && html`<code>statemachine-db add-job first --type demo</code>`}</${Empty}>`}
        ${jobs.next && html`<button class="more" onClick=${jobs.loadMore}>Load more</button>`}
      </div>
      ${id && html`<${Detail} key=${id} id=${id} readOnly=${config.read_only} reloadList=${jobs.reload} query=${query} />`}
    </div>
    ${adding && html`<${NewJobDialog} onClose=${() => setAdding(false)} onAdded=${jobs.reload} />`}
  </main>`;
}

const anyFilter = (query) => ["status", "type", "machine_type", "machine", "q"].some((key) => query[key]);

function withQuery(id, query) {
  const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
  return `${id ? href("jobs", id) : "#/jobs"}${search ? `?${search}` : ""}`;
}

function Table({ jobs, open, chosen, setChosen, readOnly, query }) {
  const all = jobs.items.length > 0 && jobs.items.every((job) => chosen.has(job.job_id));
  const toggle = (id) => setChosen(toggledOne(chosen, id));
  const toggleAll = () => setChosen(new Set(all ? [] : jobs.items.map((job) => job.job_id)));
  return html`<table class="jobs">
    <thead><tr>
      ${!readOnly && html`<th class="tick"><input type="checkbox" aria-label="Choose all jobs shown" checked=${all} onChange=${toggleAll} /></th>`}
      <th>Job</th><th>Status</th><th class="hide-small">Type</th><th class="hide-small">Machine</th><th class="hide-small num">Attempts</th><th class="hide-small num">Added</th><th class="hide-small num">Took</th>
    </tr></thead>
    <tbody>
      ${jobs.items.map((job) => html`<tr key=${job.job_id} class=${open === job.job_id ? "open" : ""}>
        ${!readOnly && html`<td class="tick"><input type="checkbox" aria-label=${`Choose job ${job.job_id}`} checked=${chosen.has(job.job_id)} onChange=${() => toggle(job.job_id)} /></td>`}
        <td><a class="job-link" href=${withQuery(job.job_id, query)} aria-current=${open === job.job_id}><code>${job.job_id}</code></a>${job.error_message && html`<small class="error-text">${shortened(job.error_message, 90)}</small>`}</td>
        <td><${Status} status=${job.status} /></td>
        <td class="hide-small">${job.job_type}${job.machine_type && job.machine_type !== job.job_type && html` <small>${job.machine_type}</small>`}</td>
        <td class="hide-small">${job.machine && html`<a href=${href("machines", job.machine)}>${job.machine}</a>`}</td>
        <td class="hide-small num">${job.attempts ?? 0}<span class="muted"> / ${job.max_attempts ?? 3}</span></td>
        <td class="hide-small num"><${Since} at=${job.created_at} label="added" /></td>
        <td class="hide-small num">${took(job)}</td>
      </tr>`)}
    </tbody>
  </table>`;
}

function took(job) {
  const from = epoch(job.started_at);
  const to = epoch(job.completed_at);
  if (from === null) return html`<span class="muted">–</span>`;
  if (to !== null) return duration(to - from);
  return job.status === "processing" ? html`<${Since} at=${from} label="started" />` : html`<span class="muted">–</span>`;
}

function Bulk({ jobs, clear, reload }) {
  const [asking, setAsking] = useState(null);
  const able = { retry: jobs.filter((job) => RETRYABLE.has(job.status)), cancel: jobs.filter((job) => CANCELLABLE.has(job.status)) };
  const run = async (action) => {
    const ids = able[action].map((job) => job.job_id);
    if (await attempt(() => post("/api/jobs/bulk", { action, ids }), (answer) => bulkSaid(action, ids, answer))) clear();
    reload();
  };
  return html`<div class="bulk" role="region" aria-label="Chosen jobs">
    <b>${plural(jobs.length, "job")} chosen</b>
    <button disabled=${!able.retry.length} onClick=${() => setAsking("retry")}>Retry ${count(able.retry.length)}</button>
    <button class="danger" disabled=${!able.cancel.length} onClick=${() => setAsking("cancel")}>Cancel ${count(able.cancel.length)}</button>
    <button class="quiet" onClick=${clear}>Clear</button>
    ${asking && html`<${Confirm} title=${`${asking === "retry" ? "Retry" : "Cancel"} ${plural(able[asking].length, "job")}?`} danger=${asking === "cancel"}
      action=${asking === "retry" ? "Retry them" : "Cancel them"} onConfirm=${() => run(asking)} onClose=${() => setAsking(null)} />`}
  </div>`;
}

function bulkSaid(action, ids, answer) {
  const refused = ids.length - answer.done;
  const verb = action === "retry" ? "go back to the queue" : "cancelled";
  return `${plural(ids.length - refused, "job")} ${verb}${refused ? `, ${refused} refused` : ""}`;
}

function Detail({ id, readOnly, reloadList, query }) {
  const { data: job, error, loading, reload } = useLoaded((signal) => get(api("jobs", id), {}, signal), [id]);
  const [asking, setAsking] = useState(false);
  const heading = useRef(null);
  useEffect(() => {
    const stop = onJobEvents((ids) => ids.has(id) && reload());
    const timer = setInterval(() => document.hidden || reload(), LOOK_MS);
    return () => (stop(), clearInterval(timer));
  }, [id]);
  useEffect(() => heading.current?.focus(), [id, Boolean(job)]);
  const act = async (verb, done) => {
    await attempt(() => post(api("jobs", id, verb)), done);
    reload();
    reloadList();
  };
  return html`<section class="card job-detail" aria-label=${`Job ${id}`}>
    <header>
      <h2 ref=${heading} tabindex="-1"><code>${id}</code></h2>
      ${job && html`<${Status} status=${job.status} />`}
      <span class="grow"></span>
      <a class="button icon" href=${withQuery(null, query)} aria-label="Close" title="Close">✕</a>
    </header>
    ${error && html`<${Failure} error=${error} retry=${error.status === 404 ? null : reload} />`}
    ${!job && loading && html`<p class="empty">Loading…</p>`}
    ${job && html`
      ${!readOnly && html`<div class="actions">
        <button disabled=${!RETRYABLE.has(job.status) && job.status !== "scheduled"} onClick=${() => act("retry", `${id} goes back to the queue`)}>Retry</button>
        <button class="danger" disabled=${!CANCELLABLE.has(job.status)} onClick=${() => setAsking(true)}>Cancel…</button>
      </div>`}
      ${job.error_message && html`<div class="failure">${job.error_message}</div>`}
      <dl class="pairs">
        ${pair("Type", job.job_type)}
        ${pair("Machine type", job.machine_type)}
        ${pair("Attempts", `${job.attempts ?? 0} of ${job.max_attempts ?? 3}`)}
        ${pair("Priority", String(job.priority ?? 5))}
        ${pair("Added", html`<${Time} at=${job.created_at} />`)}
        ${pair("Due", epoch(job.due_at) > now() && html`<${Time} at=${job.due_at} />`)}
        ${pair("Started", job.started_at && html`<${Time} at=${job.started_at} />`)}
        ${pair("Ended", job.completed_at && html`<span><${Time} at=${job.completed_at} /> <span class="muted">after ${took(job)}</span></span>`)}
        ${pair("Machine", job.machine && html`<a href=${href("machines", job.machine)}>${job.machine}</a>`)}
        ${pair("Time limit", job.time_limit_s && duration(job.time_limit_s))}
        ${pair("Lease until", job.status === "processing" && job.lease_until && html`<${Time} at=${job.lease_until} />`)}
        ${pair("Follows", job.source_job_id && html`<a href=${href("jobs", job.source_job_id)}>${job.source_job_id}</a>`)}
      </dl>
      ${job.attempt_history.length > 0 && html`<h3>Attempts</h3><${Attempts} attempts=${job.attempt_history} said=${job.error_message} />`}
      ${block("Payload", job.data)}
      ${block("Result", job.result)}
      ${job.path?.length > 0 && html`<h3>Path</h3><ol class="path">${job.path.map((step, i) => html`<${PathStep} key=${i} step=${step} next=${job.path[i + 1]} />`)}</ol>`}
    `}
    ${asking && html`<${Confirm} title=${`Cancel ${id}?`} action="Cancel the job" danger onConfirm=${() => act("cancel", `${id} is cancelled`)} onClose=${() => setAsking(false)}>
      No machine will take it any more. You can retry it later.</${Confirm}>`}
  </section>`;
}

/** Ended attempts, oldest first; an error that is shown above is not repeated. */
function Attempts({ attempts, said }) {
  return html`<table class="attempts">
    <thead><tr><th>Started</th><th class="num">Took</th><th>Machine</th><th>Outcome</th></tr></thead>
    ${attempts.map((attempt) => html`<tbody key=${attempt.number}>
      <tr>
        <td><${Time} at=${attempt.started_at_s} /></td>
        <td class="num">${duration(attempt.started_at_s === null ? null : attempt.ended_at_s - attempt.started_at_s)}</td>
        <td>${attempt.machine && html`<a href=${href("machines", attempt.machine)}>${attempt.machine}</a>`}</td>
        <td class=${BAD_OUTCOMES.has(attempt.outcome) ? "error-text" : ""}>${attempt.outcome.replace("_", " ")}</td>
      </tr>
      ${(attempt.output || (attempt.error_message && attempt.error_message !== said)) && html`<tr><td colspan="4">
        ${attempt.error_message !== said && html`<div class="muted">${shortened(attempt.error_message ?? "", 400)}</div>`}
        ${attempt.output && html`<pre class="code" tabindex="0" aria-label=${`Output of attempt ${attempt.number}`}>${attempt.output}</pre>`}
      </td></tr>`}
    </tbody>`)}
  </table>`;
}

function PathStep({ step, next }) {
  const payload = step.payload ?? step;
  const at = epoch(step.timestamp ?? step.at ?? payload.timestamp);
  const until = next && epoch(next.timestamp ?? next.at ?? next.payload?.timestamp);
  return html`<li><${State} name=${payload.to_state ?? payload.to ?? payload.state} /><span class="by">${payload.event_trigger ?? payload.event}</span>
    <span class="num muted">${until && at !== null ? duration(until - at) : ""}</span></li>`;
}

const pair = (name, value) => value && html`<dt>${name}</dt><dd>${value}</dd>`;
const block = (title, value) => value !== null && value !== undefined && value !== "" && html`<h3>${title}</h3><${Code} value=${value} label=${title} />`;

function toggledOne(set, id) {
  const next = new Set(set);
  if (!next.delete(id)) next.add(id);
  return next;
}

// The list, kept up to date

const JOB_EVENTS = new Set(["job_started", "job_completed", "job_failed", "error", "control"]);
const LOOK_MS = 10_000; // added, lost and due jobs make no event

function onJobEvents(callback) {
  return onEvents((events) => {
    const ids = new Set(events.filter(({ type }) => JOB_EVENTS.has(type)).map(({ payload }) => payload?.job_id ?? payload?.target).filter(Boolean));
    if (ids.size) callback(ids);
  });
}

function useJobs(query) {
  const q = useSettled(query.q ?? "");
  const type = useSettled(query.type ?? "");
  const machine_type = useSettled(query.machine_type ?? "");
  const machine = useSettled(query.machine ?? "");
  const filters = { status: query.status, type, machine_type, machine, q };
  const [extra, setExtra] = useState({ items: [], next: null });
  const keys = Object.values(filters).map((value) => value ?? "");
  const first = useLoaded((signal) => get("/api/jobs", { ...filters, limit: PAGE }, signal), keys);
  useEffect(() => setExtra({ items: [], next: null }), [keys.join("\u0000")]);
  useEffect(() => {
    const soon = paced(first.reload, 1000);
    const stop = onJobEvents(soon);
    const timer = setInterval(() => document.hidden || soon(), LOOK_MS);
    return () => (stop(), soon.cancel(), clearInterval(timer));
  }, []);
  const items = useMemo(() => distinct([...(first.data?.items ?? []), ...extra.items]), [first.data, extra]);
  const next = extra.items.length ? extra.next : first.data?.next_cursor;
  const loadMore = async () => {
    const page = await get("/api/jobs", { ...filters, limit: PAGE, cursor: next });
    setExtra((old) => ({ items: [...old.items, ...page.items].slice(-5000), next: page.next_cursor }));
  };
  return { items, next, loadMore, counts: first.data?.counts, error: first.error, loading: first.loading, reload: first.reload };
}

const distinct = (jobs) => [...new Map(jobs.map((job) => [job.job_id, job])).values()];
