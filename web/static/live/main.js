// The live page: microphone -> session -> loudspeaker, and everything on the page beside it.

import { Controls } from "./controls.js";
import { Conversation } from "./conversation.js";
import { INPUT_RATE, Microphone, MicrophoneError } from "./microphone.js";
import { Notice } from "./notice.js";
import { Orb } from "./orb.js";
import { Preferences } from "./preferences.js";
import { Session } from "./session.js";
import { OUTPUT_RATE, Speaker } from "./speaker.js";

const AFTER_RELEASE_MS = 180; // the last syllable is still on its way when the key comes up
const CONNECTIONS = { connecting: "connecting", open: "connected", waiting: "connection lost", refused: "refused", "signed-out": "signed out", closed: "not connected" };

/** A `waiting` message in words. */
function waitingWords({ for: what, progress, position }) {
  if (what === "loading") return progress == null ? "The model is loading" : `The model is loading: ${Math.round(progress * 100)} %`;
  if (what === "queue") return position > 1 ? `${position - 1} before you` : "You are next";
  if (what === "transcript") return "Still working out what you said";
  return "This takes longer than usual";
}

class App {
  constructor() {
    const find = (id) => document.getElementById(id);
    this.state = "off"; // the server's word, "off" while there is no conversation
    this.muted = false;
    this.held = false;
    this.level = 0;
    this.replying = ""; // the reply that is being received
    this.stateLine = find("state");
    this.hintLine = find("hint");
    this.connectionText = find("connection-text");
    this.meter = find("meter");
    this.meterBar = find("meter-bar");
    this.notice = new Notice(document);
    this.conversation = new Conversation(document);
    this.preferences = new Preferences(document, (name, values) => this.preferred(name, values));
    this.microphone = new Microphone((pcm, level) => this.heard(pcm, level), () => this.lostMicrophone());
    this.speaker = new Speaker((reply, ms, isEnd) => this.played(reply, ms, isEnd));
    this.session = new Session({
      message: (message) => this.said(message),
      audio: (reply, pcm) => this.sounded(reply, pcm),
      status: (status, detail) => this.connected(status, detail),
      position: () => this.speaker.stop(),
    });
    this.orb = new Orb(find("orb"), () => ({ mic: this.level, speaker: this.speaker.level() }));
    this.controls = new Controls(document, {
      start: () => this.start(),
      end: () => this.end(),
      mute: () => this.mute(!this.muted),
      press: () => this.press(),
      release: (meant) => this.release(meant),
      interrupt: () => this.interrupt(),
      type: (text) => this.type(text),
      settings: () => this.preferences.open(),
    });
    for (const name of ["visibilitychange", "pointerup", "keydown"]) document.addEventListener(name, () => this.wake());
    addEventListener("online", () => this.session.wanted && this.session.connect());
    this.show();
    this.learn();
  }

  get hold() {
    return this.preferences.values.mode === "hold";
  }

  // ---- beginning and ending ------------------------------------------------------------------------------------

  /** What the server can do; also finds out whether we are signed in at all. */
  async learn() {
    const answer = await fetch("/live/options", { credentials: "same-origin" }).catch(() => null);
    if (answer?.status === 401) this.notice.show("signed-out");
    if (!answer?.ok) return;
    const offer = await answer.json();
    this.preferences.offer(offer);
    document.getElementById("open-admin").hidden = !offer.admin;
  }

  async start() {
    this.notice.hide();
    if (!isSecureContext) return this.notice.show("insecure");
    const speaker = this.openSpeaker();
    if (!(await this.openMicrophone())) return;
    if (!(await speaker)) this.microphone.close();
    this.show();
    if (!this.microphone.on) return; // also where it was ended meanwhile
    this.muted = false;
    await this.connect();
    await this.sound();
  }

  /** A browser that keeps the sound off lets it on where the user clicks; one that hears the microphone, too. */
  async sound() {
    if (!isSecureContext || this.notice.kind || (await this.speaker.wake())) return;
    if (this.speaker.context) this.notice.show("quiet", { action: () => this.sound() });
  }

  async openMicrophone() {
    const { microphone, echo } = this.preferences.values;
    let opened;
    try {
      opened = await this.microphone.open({ deviceId: microphone, echoCancellation: echo });
    } catch (error) {
      if (!(error instanceof MicrophoneError)) throw error;
      const detail = error.kind === "failed" ? String(error.cause?.message ?? "") : "";
      this.notice.show(error.kind, { detail, action: () => this.start() });
      this.show();
      return false;
    }
    this.show();
    // Also for a conversation that was begun by typing, or with another microphone.
    if (opened && this.session.token) this.session.configure({ turn_config: this.configuration().turn_config });
    return opened;
  }

  /** False, with a notice, where it does not start. */
  async openSpeaker() {
    if (!isSecureContext) return false; // there are answers to be read all the same
    try {
      await this.speaker.open();
    } catch (error) {
      this.notice.show("silent", { detail: String(error?.message ?? error), action: () => this.start() });
      return false;
    }
    await this.speaker.choose(this.preferences.values.loudspeaker).catch(() => {});
    return true;
  }

  async connect() {
    if (this.session.open) return;
    if (!this.session.token) this.session.config = this.configuration();
    await this.session.connect();
  }

  configuration() {
    const { wake, wake_word, wake_mode, voice, speed, headphones } = this.preferences.values;
    const echo = this.microphone.cancelsEcho ? "cancelled" : "auto";
    return {
      audio_config: { input_format: "pcm", output_format: "pcm", input_rate: INPUT_RATE, sample_rate: OUTPUT_RATE, binary_audio: true },
      wake_word_config: { enabled: wake, words: wake ? [wake_word] : [], mode: wake_mode },
      voice_config: { voice_id: voice, speed },
      turn_detection: this.hold ? null : { type: "server_vad" },
      turn_config: { echo: headphones ? "headphones" : echo },
    };
  }

  end() {
    this.session.close();
  }

  /** The conversation is over, whoever ended it: nothing is heard, played or waited for any more. */
  over() {
    this.microphone.close();
    this.speaker.flush();
    this.conversation.reconnected();
    this.notice.hide("waiting");
    this.state = "off";
  }

  async lostMicrophone() {
    this.show();
    const name = "microphone";
    const allowed = await navigator.permissions?.query({ name }).catch(() => null);
    if (allowed?.state === "denied") this.notice.show("denied", { action: () => this.start() });
    else this.conversation.note("The microphone was disconnected. Plug it in again and press Start talking.", true);
  }

  wake() {
    if (document.visibilityState !== "visible") return;
    this.microphone.wake().catch(() => {});
    this.speaker.wake().then((plays) => plays && this.notice.hide("quiet"), () => {});
  }

  // ---- from the user -------------------------------------------------------------------------------------------

  heard(pcm, level) {
    const sending = this.hold ? this.held : !this.muted;
    this.showLevel(sending ? level : 0);
    if (sending) this.session.send(pcm);
  }

  showLevel(level) {
    this.level = level;
    const percent = Math.min(100, Math.round(Math.sqrt(level) * 160));
    this.meterBar.style.transform = `scaleX(${percent / 100})`;
    this.meter.setAttribute("aria-valuenow", percent);
  }

  mute(on) {
    this.muted = on;
    this.show();
  }

  press() {
    clearTimeout(this.letGo);
    if (this.busy) this.interrupt();
    this.session.send({ type: "clear" }); // what was heard before the key went down is not meant
    this.held = true;
    this.show();
  }

  release(meant) {
    this.show();
    this.letGo = setTimeout(() => {
      this.held = false;
      this.session.send({ type: meant ? "end_turn" : "clear" });
      this.show();
    }, AFTER_RELEASE_MS);
  }

  interrupt() {
    this.session.send({ type: "interrupt" });
    this.session.silence(this.replying);
    this.speaker.flush();
  }

  async type(text) {
    await Promise.all([this.openSpeaker(), this.connect()]);
    if (this.busy) this.interrupt();
    if (!this.session.send({ type: "end_turn", transcript: text })) {
      this.controls.giveBack(text);
    }
    await this.sound();
  }

  async preferred(name, values) {
    if (name === "microphone" || name === "echo") {
      if (this.microphone.on) await this.openMicrophone();
    } else if (name === "loudspeaker") {
      await this.speaker.choose(values.loudspeaker).catch(() => this.conversation.note("That loudspeaker cannot be used.", true));
    } else {
      this.held = false;
      const { audio_config: _, ...changed } = this.configuration();
      if (this.session.token) this.session.configure(changed);
      this.show();
    }
  }

  // ---- from the server -----------------------------------------------------------------------------------------

  said(message) {
    const { conversation, speaker } = this;
    switch (message.type) {
      case "transcript":
        conversation.transcript(message);
        break;
      case "waiting":
        this.waiting = waitingWords(message);
        this.show();
        break;
      case "text":
        this.waiting = "";
        conversation.write(message.reply, message.text);
        break;
      case "audio":
        this.marked(message);
        break;
      case "interrupted":
        if (message.reply === this.replying) speaker.flush();
        break;
      case "turn_complete":
        this.turns.push(message);
        conversation.complete(message);
        break;
      case "state":
        this.state = message.state;
        this.waiting = "";
        speaker.hold(message.state === "paused");
        if (message.state === "idle" || message.state === "asleep") conversation.drop();
        this.show();
        break;
      case "wake_word_required":
        conversation.note(`${this.sayWord()}.`);
        break;
      case "error":
        conversation.note([message.message, message.hint].filter(Boolean).join(": "), true);
        break;
    }
  }

  /** A clause of a reply, or its end: the binary frames that follow are its samples. */
  marked({ reply, text, text_end: end, is_last: isLast }) {
    if (this.session.silenced.has(reply)) return;
    this.replying = reply;
    if (isLast) {
      this.conversation.reply(reply).end();
      this.speaker.end(reply);
    } else {
      this.conversation.reply(reply).clause(text, end);
    }
  }

  sounded(reply, pcm) {
    this.conversation.reply(reply).audio(pcm.byteLength);
    this.speaker.play(reply, pcm);
  }

  played(reply, ms) {
    this.session.send({ type: "played", reply, ms: Math.round(ms) });
    this.conversation.replies.get(reply)?.played(ms);
  }

  connected(status, detail) {
    document.body.dataset.connection = status;
    this.connectionText.textContent = CONNECTIONS[status];
    if (status === "open") {
      this.notice.hide("waiting");
      if (detail.resumed) {
        this.goOn(detail);
      } else {
        this.conversation.reconnected();
        this.speaker.forget();
        this.replying = "";
        // The server tells changes only; a conversation begins like this.
        this.state = detail.config.wake_word?.enabled ? "asleep" : "idle";
      }
    } else if (status === "waiting") {
      const say = [detail.reason, detail.hint].filter(Boolean).join(". ");
      this.notice.show("waiting", { say, seconds: detail.seconds, action: () => this.session.connect() });
      this.state = "off";
    } else if (status === "signed-out") {
      this.over();
      this.notice.show("signed-out");
    } else if (status === "refused") {
      this.over();
      const say = [detail.message, detail.hint].filter(Boolean).join(". ");
      this.notice.show("refused", { say, action: () => this.preferences.reset() });
    } else if (status === "closed") {
      this.over();
      if (detail.reason) this.conversation.note(`${detail.reason}. Press Start talking to go on.`);
    }
    this.show();
  }

  /** The connection was cut and is back; the conversation stood still meanwhile. */
  goOn({ state, at }) {
    this.state = state;
    this.speaker.hold(state === "paused");
    this.conversation.replies.get(at.reply)?.rewind(Math.round((at.ms / 1000) * OUTPUT_RATE));
    this.conversation.note("The connection is back, and the conversation continues.");
  }

  // ---- the page ------------------------------------------------------------------------------------------------

  turns = [];

  /** Why the answer does not come, while it is slow. */
  waiting = "";

  get busy() {
    return ["thinking", "speaking", "paused"].includes(this.state);
  }

  show() {
    const { on } = this.microphone;
    if (!on) this.showLevel(0);
    document.body.dataset.state = this.state;
    document.body.dataset.mic = on ? "on" : "off";
    this.orb.show(this.session.status === "waiting" ? "asleep" : this.state);
    this.controls.show({ started: on, muted: this.muted, hold: this.hold, busy: this.busy });
    // The voice of a screen reader would be taken for the user's.
    this.conversation.quiet = on && !this.hold && !this.muted && !this.preferences.values.headphones;
    this.stateLine.setAttribute("aria-live", this.conversation.quiet ? "off" : "polite");
    [this.stateLine.textContent, this.hintLine.textContent] = this.words(on);
  }

  /** What one has to do to be answered. */
  sayWord() {
    const { wake_word, wake_mode } = this.preferences.values;
    return `Say “${wake_word}” ${{ pre: "first", post: "last", mid: "with your request" }[wake_mode]}`;
  }

  /** A phone has no space bar. */
  byHand(keys, fingers) {
    return matchMedia("(hover: none)").matches ? fingers : keys;
  }

  words(on) {
    if (this.session.status === "connecting") return ["Connecting", ""];
    if (this.session.status === "waiting") return ["Connection lost", ""];
    if (this.state === "thinking") return ["Thinking", this.waiting];
    if (this.state === "speaking") return ["Speaking", this.waiting || (on && !this.hold && !this.muted ? "Speak to interrupt" : this.byHand("Press Space to interrupt", "Tap Interrupt to stop"))];
    if (this.state === "paused") return ["Go on?", "I am listening"];
    if (!on) return this.state === "off" ? ["Ready when you are", "Press Start talking, then just speak"] : ["Ready", "Type, or start talking"];
    if (this.state === "off") return ["Not connected", ""];
    if (this.hold) return this.held ? ["I hear you", "Release to send"] : ["Ready", this.byHand("Hold the button or the space bar", "Hold the button")];
    if (this.muted) return ["Muted", "Nothing leaves this machine"];
    if (this.state === "asleep") return ["Asleep", this.sayWord()];
    return this.state === "hearing" ? ["I hear you", ""] : ["Listening", "Just speak"];
  }
}

const app = new App();

// A look inside, for tests and for the curious. Reading changes nothing.
Object.defineProperty(window, "parley", {
  value: Object.freeze({
    get connection() { return app.session.status; },
    get state() { return app.state; },
    get token() { return app.session.token; },
    get microphone() { return { on: app.microphone.on, frames: app.microphone.frames, level: app.level, label: app.microphone.label }; },
    get playback() { return { samples: app.speaker.samplesPlayed, peak: app.speaker.peak, reply: app.speaker.last.reply, rate: OUTPUT_RATE }; },
    get resumes() { return app.session.resumes; },
    get turns() { return structuredClone(app.turns); },
    get notice() { return app.notice.kind; },
  }),
});
