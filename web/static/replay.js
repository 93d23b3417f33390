// Replay of a machine's transitions: a slider, a play button, and the way back to the present.
import { clock, duration } from "./format.js";
import { html, useEffect, useState } from "./lib.js";
import { Clock } from "./ui.js";

const LONGEST_STEP_MS = 1500;
const SHORTEST_STEP_MS = 350;

/** {index, moment, count, show(i), live(), playing, play()}; `moment` is null while the page shows the present. */
export function useReplay(moves) {
  const [id, setId] = useState(null); // the id, because earlier transitions may be loaded meanwhile
  const [playing, setPlaying] = useState(false);
  const index = id === null ? null : moves.findIndex((move) => move.id === id);
  const moment = index !== null && index >= 0 ? moves[index] : null;
  const live = () => (setId(null), setPlaying(false));
  const show = (i) => (i >= moves.length - 1 && playing ? live() : setId(moves[Math.max(0, Math.min(i, moves.length - 1))]?.id ?? null));
  useEffect(() => {
    if (!playing || !moment) return undefined;
    const next = moves[index + 1];
    if (!next) return void live();
    const wait_ms = Math.min(LONGEST_STEP_MS, Math.max(SHORTEST_STEP_MS, (next.at - moment.at) * 1000));
    const timer = setTimeout(() => setId(next.id), wait_ms);
    return () => clearTimeout(timer);
  }, [playing, id, moves]);
  const play = () => {
    if (!playing && (!moment || index >= moves.length - 1)) setId(moves[Math.max(0, moves.length - 21)]?.id ?? null);
    setPlaying(!playing);
  };
  return { index, moment, moves, show, live, playing, play };
}

export function ReplayBar({ replay }) {
  const { moves, moment, index, playing } = replay;
  if (moves.length < 2) return null;
  const at = moment ? index : moves.length - 1;
  const shown = moves[at];
  const said = moment ? `${clock(shown.at)}, ${shown.from} to ${shown.to}` : "live";
  return html`<div class=${`replay ${moment ? "past-shown" : ""}`}>
    <button class="icon" aria-label=${playing ? "Pause" : "Replay the last moves"} title=${playing ? "Pause" : "Replay"} onClick=${replay.play}>${playing ? "❚❚" : "▶"}</button>
    <button class="icon" aria-label="One move back" title="One move back" disabled=${at <= 0} onClick=${() => replay.show(at - 1)}>‹</button>
    <input type="range" min="0" max=${moves.length - 1} value=${at} aria-label="Moment of the past" aria-valuetext=${said}
      onInput=${(event) => replay.show(Number(event.currentTarget.value))} />
    <button class="icon" aria-label="One move on" title="One move on" disabled=${!moment} onClick=${() => (at >= moves.length - 1 ? replay.live() : replay.show(at + 1))}>›</button>
    <span class="replay-at">${moment ? html`<${Clock} at=${shown.at} ms /> <span class="muted">${ago(moves, at)}</span>` : html`<b class="live-mark">Live</b>`}</span>
    ${moment && html`<button class="small primary" onClick=${replay.live}>Back to live</button>`}
  </div>`;
}

const ago = (moves, at) => `${at + 1} of ${moves.length}${moves[at + 1] ? `, here for ${duration(moves[at + 1].at - moves[at].at)}` : ""}`;
