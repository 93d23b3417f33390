// One line of the audit log; when opened, the whole event.
import { kindOf, levelOf, messageOf } from "./levels.js";
import { html, memo, useState } from "./lib.js";
import { href } from "./router.js";
import { Clock, Code, Dialog, Time } from "./ui.js";

/** `plain` leaves out the machine's name, for lists of one machine. */
export const EventRow = memo(({ item, plain }) => {
  const [open, setOpen] = useState(false);
  const level = levelOf(item);
  const message = messageOf(item);
  return html`<button class=${`event-row level-${level} ${plain ? "plain" : ""}`} data-id=${item.id} onClick=${() => setOpen(true)} title=${message}>
      <${Clock} at=${item.timestamp} ms />
      <span class="level"><span class="sr">${level}</span><i aria-hidden="true"></i></span>
      ${!plain && html`<span class="machine">${item.machine_name}</span>`}
      <span class="type">${kindOf(item)}</span>
      <span class="message">${message}</span>
    </button>
    ${open && html`<${EventDetail} item=${item} onClose=${() => setOpen(false)} />`}`;
});

const EventDetail = ({ item, onClose }) => html`<${Dialog} title=${`${item.type} #${item.id}`} onClose=${onClose}>
  <dl class="pairs">
    <dt>Machine</dt><dd><a href=${href("machines", item.machine_name ?? "")} onClick=${onClose}>${item.machine_name}</a></dd>
    <dt>Time</dt><dd><${Time} at=${item.timestamp} ms /></dd>
    <dt>Level</dt><dd>${levelOf(item)}</dd>
  </dl>
  <${Code} value=${item.payload} label="Payload" />
  ${item.payload?.truncated && html`<p class="muted">A long payload, cut here. <code>statemachine-db</code> and the API have all of it.</p>`}
  <div class="dialog-foot"><button onClick=${onClose} data-first>Close</button></div>
</${Dialog}>`;
