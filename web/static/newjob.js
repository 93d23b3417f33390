// Writes a job and puts it into the queue.
import { post } from "./api.js";
import { html, useState } from "./lib.js";
import { attempt, Dialog } from "./ui.js";

const NOTHING = { max_attempts: "", time_limit_s: "", backoff_s: "" };

export function NewJobDialog({ onClose, onAdded }) {
  const [form, setForm] = useState({ job_type: "", job_id: "", machine_type: "", priority: "5", payload: "{}", ...NOTHING });
  const [problem, setProblem] = useState(null);
  const write = (name) => (event) => (setForm({ ...form, [name]: event.currentTarget.value }), setProblem(null));
  const add = async (event) => {
    event.preventDefault();
    let payload;
    try {
      payload = form.payload.trim() ? JSON.parse(form.payload) : null;
    } catch (error) {
      setProblem(error.message);
      return;
    }
    const body = { job_type: form.job_type.trim(), payload, priority: Number(form.priority) };
    if (form.job_id.trim()) body.job_id = form.job_id.trim();
    if (form.machine_type.trim()) body.machine_type = form.machine_type.trim();
    for (const name of Object.keys(NOTHING)) if (form[name]) body[name] = Number(form[name]);
    const added = await attempt(() => post("/api/jobs", body), (job) => `Job ${job.job_id} added`);
    if (!added) return;
    onAdded();
    onClose();
  };
  const field = (name, label, more = {}) => html`<label class="field">${label}
    <input value=${form[name]} spellcheck=${false} autocomplete="off" onInput=${write(name)} ...${more} /></label>`;
  return html`<${Dialog} title="Add a job" onClose=${onClose}>
    <form onSubmit=${add}>
      ${field("job_type", "Type", { required: true, "data-first": "" })}
      ${field("job_id", "Id", { placeholder: "made for you" })}
      ${field("machine_type", "Machine type", { placeholder: "any" })}
      ${field("priority", "Priority, 1 first", { type: "number", min: 1, max: 100 })}
      <label class="field">Payload, as JSON<textarea rows="5" spellcheck=${false} value=${form.payload} onInput=${write("payload")} aria-invalid=${Boolean(problem)}></textarea></label>
      <details>
        <summary>Attempts</summary>
        ${field("max_attempts", "How many at most", { type: "number", min: 1, placeholder: "the worker's, or 3" })}
        ${field("time_limit_s", "Time limit of each, in seconds", { type: "number", min: 0, step: "any", placeholder: "any time" })}
        ${field("backoff_s", "First wait between them, in seconds", { type: "number", min: 0, step: "any", placeholder: "the worker's, or 10" })}
      </details>
      <p class="error-text" role="alert">${problem}</p>
      <div class="dialog-foot"><button type="button" onClick=${onClose}>Cancel</button><button class="primary" type="submit">Add</button></div>
    </form>
  </${Dialog}>`;
}
