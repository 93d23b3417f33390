// The WebSocket: connects, reconnects, resumes after the last id, and delivers each event once.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5_000;
const QUIET_MS = 45_000; // the server pings every 20 s at most; silence for longer than this is a dead connection

export class Stream {
  /** `on`: {initial(frame), event(event), resync(frame), status(status)}; status is "connecting", "live" or "lost". */
  constructor(on) {
    this.on = on;
    this.lastId = null;
    this.wait_ms = FIRST_WAIT_MS;
    this.socket = null;
    this.timer = 0;
    this.heard_at = 0;
    this.held = null;
    addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.retryNow());
    setInterval(() => this.checkQuiet(), 5_000);
  }

  connect() {
    clearTimeout(this.timer);
    this.timer = 0;
    const url = new URL("ws/events", document.baseURI); // relative to the page
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    if (this.lastId !== null) url.searchParams.set("since", this.lastId);
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.onmessage = (message) => socket === this.socket && this.receive(message.data);
    socket.onclose = () => socket === this.socket && this.lose();
    this.heard_at = performance.now();
  }

  /** Asks for the list of machines again. */
  refresh() {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send("refresh");
  }

  /** Holds live events while `work` loads missed ones, so that all are delivered in order. */
  async holding(work) {
    this.held = [];
    try {
      await work();
    } finally {
      const held = this.held;
      this.held = null;
      held.forEach((event) => this.deliver(event));
    }
  }

  receive(text) {
    this.heard_at = performance.now();
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return;
    }
    if (frame.type === "initial") this.start(frame);
    else if (frame.type === "resync") this.on.resync(frame);
    else if (frame.type === "ping") this.on.ping(frame);
    else if (Number.isInteger(frame.id)) (this.held ? this.held.push(frame) : this.deliver(frame));
  }

  start(frame) {
    this.wait_ms = FIRST_WAIT_MS;
    if (this.lastId === null) this.lastId = frame.last_id ?? 0;
    this.on.initial(frame);
    this.on.status("live");
  }

  deliver(event) {
    if (this.lastId !== null && event.id <= this.lastId) return;
    this.lastId = event.id;
    this.on.event(event);
  }

  lose() {
    this.socket = null;
    this.on.status("lost");
    this.timer = setTimeout(() => this.connect(), this.wait_ms * (0.75 + Math.random() / 2));
    this.wait_ms = Math.min(LONGEST_WAIT_MS, this.wait_ms * 2);
  }

  retryNow() {
    if (this.socket || !this.timer) return;
    this.wait_ms = FIRST_WAIT_MS;
    this.connect();
  }

  checkQuiet() {
    if (!this.socket || performance.now() - this.heard_at < QUIET_MS) return;
    const dead = this.socket;
    this.lose();
    dead.close();
  }
}
