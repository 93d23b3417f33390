// Writes an event with its payload and sends it to a machine.
import { api, post } from "./api.js";
import { html, useState } from "./lib.js";
import { attempt, Dialog } from "./ui.js";

/** With `event` "", the dialog asks for its name. */
export function EventDialog({ machine, event, onClose }) {
  const [type, setType] = useState(event);
  const [text, setText] = useState("{}");
  const [problem, setProblem] = useState(null);
  const send = async (submit) => {
    submit.preventDefault();
    let payload;
    try {
      payload = text.trim() ? JSON.parse(text) : {};
    } catch (error) {
      setProblem(error.message);
      return;
    }
    const sent = await attempt(() => post(api("machines", machine, "events"), { type: type.trim(), payload }), `${type} sent to ${machine}`);
    if (sent) onClose();
  };
  const write = (input) => (setText(input.currentTarget.value), setProblem(null));
  return html`<${Dialog} title=${event ? `Send ${event}` : `Send an event to ${machine}`} onClose=${onClose}>
    <form onSubmit=${send}>
      ${!event && html`<label class="field">Event<input required value=${type} data-first spellcheck=${false} autocomplete="off" onInput=${(input) => setType(input.currentTarget.value)} /></label>`}
      <label class="field">Payload, as JSON
        <textarea rows="8" spellcheck=${false} value=${text} onInput=${write} data-first=${event ? "" : null} aria-invalid=${Boolean(problem)} aria-describedby="payload-problem"></textarea></label>
      <p id="payload-problem" class="error-text" role="alert">${problem}</p>
      <div class="dialog-foot"><button type="button" onClick=${onClose}>Cancel</button><button class="primary" type="submit">Send</button></div>
    </form>
  </${Dialog}>`;
}
