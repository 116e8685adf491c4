// The connection to the server: opens a session, keeps its WebSocket alive, speaks the protocol. Knows no page.

const BACK_OFF_S = [0.5, 1, 2, 4, 8, 15];
const PING_S = 15;
const PONG_S = 10;
const ANSWER_S = 15; // a server that takes a request and says nothing is no better than none
const GONE = 4004;
const TAKEN_OVER = 4001;
const IDLE = 4000;
const KEPT_S = 30; // of what the microphone heard, to be sent again after a connection was cut
const RATE = 16000;
const WAITS = ["end_turn", "interrupt", "clear"]; // belong to the conversation, and are said when it goes on

export class Session {
  /**
   * `handlers`: message(object), audio(reply, pcm), status(name, detail), and async position(), which stops playing
   * and says where: {reply, ms}. Statuses: "connecting", "open" {config, and after a cut resumed, state, at},
   * "waiting" {seconds, reason, hint}, "refused" {message, hint} (bad configuration), "signed-out", "closed".
   */
  constructor(handlers) {
    this.handlers = handlers;
    this.config = {};
    this.token = "";
    this.socket = null;
    this.status = "closed";
    this.tries = 0;
    this.timer = 0;
    this.wanted = false;
    this.speaking = ""; // the reply that binary frames belong to
    this.silenced = new Set(); // replies that were interrupted here: what still comes of them is dropped
    this.opening = null;
    this.unsent = false; // the configuration changed while there was no connection
    this.greeted = false; // this connection has said `ready`
    this.begun = false; // there was a connection with this token
    this.resumes = 0;
    this.forget();
  }

  get open() {
    return this.greeted && this.socket?.readyState === WebSocket.OPEN;
  }

  /** Connects, now and again whenever it is lost. Resolves when the first try has an outcome. */
  connect() {
    this.wanted = true;
    clearTimeout(this.timer);
    this.opening ??= this.attempt().finally(() => (this.opening = null));
    return this.opening;
  }

  close() {
    this.wanted = false;
    clearTimeout(this.timer);
    if (this.open) this.send({ type: "close" });
    this.socket?.close(1000);
    this.socket = null;
    this.greeted = this.begun = false;
    this.token = ""; // also where the server was not reached: the next one begins anew, its samples are counted from 0
    this.forget();
    this.say("closed");
  }

  /** Sends a message or, as an ArrayBuffer, samples. False while there is no connection, unless it can wait for one. */
  send(message) {
    const { open } = this;
    const waits = !open && this.begun && this.wanted;
    if (message instanceof ArrayBuffer) {
      if (open || waits) this.keep(message);
    } else if (waits && WAITS.includes(message.type)) {
      this.kept.push({ at: this.samples, message });
      return true;
    }
    if (open) this.put(message);
    return open;
  }

  put(message) {
    this.socket.send(message instanceof ArrayBuffer ? message : JSON.stringify(message));
  }

  // ---- what may have to be said again ------------------------------------------------------------------------

  forget() {
    this.samples = 0; // of this conversation, sent or waiting
    this.kept = []; // {at, pcm} and {at, message}, in order
  }

  keep(pcm) {
    this.kept.push({ at: this.samples, pcm });
    this.samples += pcm.byteLength / 2;
    const oldest = this.samples - KEPT_S * RATE;
    this.kept = this.kept.filter(({ at, message }) => message || at >= oldest);
  }

  /** The server has the first `has` samples: it gets the rest, and what was said meanwhile. */
  sayAgain(has) {
    const { kept } = this;
    this.kept = [];
    for (const { at, pcm, message } of kept) {
      if (message) this.put(message);
      else {
        this.kept.push({ at, pcm });
        const skip = Math.min(pcm.byteLength, Math.max(0, has - at) * 2);
        if (skip < pcm.byteLength) this.put(pcm.slice(skip));
      }
    }
  }

  /** Takes effect now if connected, and with every later session. */
  configure(config) {
    this.config = { ...this.config, ...config };
    this.unsent = !this.send({ type: "update", ...config }) && this.token !== "";
  }

  silence(reply) {
    if (!reply) return;
    this.silenced.add(reply);
    if (this.silenced.size > 8) this.silenced.delete(this.silenced.values().next().value);
  }

  say(status, detail = {}) {
    this.status = status;
    this.handlers.status(status, detail);
  }

  async attempt() {
    if (this.socket) return; // it is open, or about to go on
    this.say("connecting");
    try {
      if (!this.token) await this.begin();
    } catch (error) {
      const silent = error instanceof TypeError || error.name === "TimeoutError";
      this.retry(silent ? "The server does not answer" : error.message, error.hint);
      return;
    }
    if (this.token && this.wanted) await this.attach();
  }

  async begin() {
    const answer = await fetch("/v1/audio/live", {
      method: "POST",
      credentials: "same-origin",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(this.config),
      signal: AbortSignal.timeout(ANSWER_S * 1000),
    });
    if (answer.ok) {
      this.token = (await answer.json()).session_token;
      return;
    }
    const problem = (await answer.json().catch(() => ({}))).error ?? {};
    const message = problem.message ?? `The server says ${answer.status}`;
    if (answer.status === 401) {
      this.wanted = false;
      this.say("signed-out");
    } else if (answer.status === 400 || answer.status === 422) {
      this.wanted = false;
      this.say("refused", { message, hint: problem.hint });
    } else {
      throw Object.assign(new Error(message), { hint: problem.hint });
    }
  }

  attach() {
    return new Promise((resolve) => {
      const url = new URL(`/v1/audio/live/ws/${this.token}${this.begun ? "?resume=1" : ""}`, location.href);
      url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
      const socket = new WebSocket(url);
      socket.binaryType = "arraybuffer";
      this.socket = socket;
      this.greeted = false;
      socket.onmessage = ({ data }) => {
        if (socket !== this.socket) return;
        this.heardAt = performance.now();
        if (typeof data === "string") this.take(JSON.parse(data));
        else if (!this.silenced.has(this.speaking)) this.handlers.audio(this.speaking, data);
        resolve();
      };
      socket.onclose = ({ code, reason }) => {
        resolve();
        if (socket !== this.socket) return;
        this.socket = null;
        this.lost(code, reason);
      };
      const beat = setInterval(() => this.checkAlive(socket), PING_S * 1000);
      socket.addEventListener("close", () => clearInterval(beat));
    });
  }

  // A connection may be dead without anybody having closed it: a phone that changed networks.
  checkAlive(socket) {
    if (socket.readyState === WebSocket.CONNECTING) socket.close(); // nobody answers: as good as lost
    if (socket.readyState !== WebSocket.OPEN) return;
    this.send({ type: "ping" });
    const asked = performance.now();
    setTimeout(() => {
      if (socket !== this.socket || this.heardAt > asked) return;
      this.socket = null;
      socket.close();
      this.lost(1006, "");
    }, PONG_S * 1000);
  }

  take(message) {
    if (message.type === "ready") {
      this.tries = 0;
      if (this.status !== "open") {
        if (message.resumed) this.goOn(message);
        else this.beginAnew(message);
      }
    } else if (message.type === "audio" && message.binary) {
      this.speaking = message.reply;
    } else if (message.type === "interrupted") {
      this.silence(message.reply);
    }
    if (message.type !== "pong") this.handlers.message(message);
  }

  beginAnew({ config }) {
    this.silenced.clear(); // replies are counted anew
    const typed = this.kept.filter(({ message }) => message?.transcript);
    this.forget();
    this.greeted = this.begun = true;
    this.say("open", { config });
    if (this.unsent) this.configure(this.config);
    for (const { message } of typed) this.put(message);
  }

  /** The connection was cut, and the conversation stood still: both sides go on at the sample where they were. */
  async goOn({ config, state, input, reply }) {
    const { socket } = this;
    const at = await this.handlers.position();
    if (socket !== this.socket || socket.readyState !== WebSocket.OPEN) return;
    this.resumes++;
    this.put({ type: "resume", ...at });
    this.say("open", { config, resumed: true, state, at: reply?.id === at.reply ? at : { reply: "", ms: 0 } });
    this.sayAgain(input.samples);
    this.greeted = true;
    if (this.unsent) this.configure(this.config);
  }

  lost(code, reason) {
    this.speaking = "";
    this.greeted = false;
    if (!this.wanted) return;
    if (code === GONE) {
      this.token = "";
      this.begun = false;
    }
    if (code === IDLE || code === TAKEN_OVER) {
      this.wanted = this.begun = false;
      this.say("closed", { reason: code === IDLE ? "It was quiet for a long time" : "You talk elsewhere now" });
      return;
    }
    // An expired session is simply begun anew, once.
    this.retry(reason, "", code === GONE && this.tries === 0);
  }

  retry(reason, hint = "", atOnce = false) {
    if (!this.wanted) return;
    const base = BACK_OFF_S[Math.min(this.tries, BACK_OFF_S.length - 1)];
    this.tries++;
    const seconds = atOnce ? 0 : base * (0.8 + 0.4 * Math.random());
    if (!atOnce) this.say("waiting", { seconds, reason, hint });
    this.timer = setTimeout(() => this.connect(), seconds * 1000);
  }
}
