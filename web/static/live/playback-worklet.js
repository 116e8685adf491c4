// The loudspeaker's end of the audio thread: a jitter buffer that knows which reply it plays, and where it is in it.
//
// In: {type: "pcm", reply, pcm}, {type: "end", reply}, {type: "hold", on}, {type: "flush"}, {type: "stop"}: a flush that
// is answered with {type: "stopped", reply, samples}; {type: "forget"}: a flush after which a reply of the same name is
// another one.
// Out: {type: "position", reply, samples} about every 100 ms (20 in the beginning) and whenever playing stops;
// {type: "drained", reply, samples} when all of a reply has been played. Positions count the reply's own samples,
// never gaps.

const START_MS = 60; // buffered before playing starts
const PATIENCE_MS = 150; // after this, whatever is there is played
const MOST_MS = 200; // each gap makes the buffer longer, up to this
const FADE_MS = 6;
const REPORT_MS = 100;
const FIRST_REPORT_MS = 20; // the first sound of a reply is what its latency is measured by
const FIRST_MS = 200;

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.queue = [];
    this.offset = 0;
    this.buffered = 0;
    this.ended = new Set();
    this.target = this.samples(START_MS);
    this.playing = false;
    this.waited = 0;
    this.held = false;
    this.gain = 1;
    this.reply = "";
    this.position = 0;
    this.reported = 0;
    this.tail = new Float32Array(0);
    this.port.onmessage = (event) => this.take(event.data);
  }

  samples(ms) {
    return Math.round((sampleRate * ms) / 1000);
  }

  take(message) {
    if (message.type === "pcm") {
      const pcm = new Int16Array(message.pcm);
      this.queue.push({ reply: message.reply, pcm });
      this.buffered += pcm.length;
    } else if (message.type === "end") {
      this.ended.add(message.reply);
      if (this.ended.size > 16) this.ended.delete(this.ended.values().next().value);
      if (message.reply === this.reply && this.buffered === 0) this.report("drained"); // its last sample was played before
    } else if (message.type === "hold") {
      this.held = message.on;
    } else if (message.type === "flush") {
      this.flush();
    } else if (message.type === "stop") {
      this.flush();
      this.port.postMessage({ type: "stopped", reply: this.reply, samples: this.position });
    } else if (message.type === "forget") {
      this.flush();
      this.ended.clear();
      this.reply = "";
      this.position = this.reported = 0;
    }
  }

  // What is left is dropped; a few milliseconds fade out, for a wave that is cut clicks.
  flush() {
    const fade = new Float32Array(Math.min(this.samples(FADE_MS), this.gain > 0 && this.playing ? this.buffered : 0));
    for (let i = 0; i < fade.length; i++) fade[i] = this.next() * this.gain * (1 - (i + 1) / fade.length);
    this.tail = fade;
    this.report("position");
    this.queue = [];
    this.offset = 0;
    this.buffered = 0;
    this.playing = false;
    this.held = false;
    this.gain = 1;
    this.waited = 0;
  }

  next() {
    const head = this.queue[0];
    if (head.reply !== this.reply) {
      this.reply = head.reply;
      this.position = 0;
      this.reported = 0;
    }
    const sample = head.pcm[this.offset++] / 32768;
    this.position++;
    this.buffered--;
    if (this.offset === head.pcm.length) {
      this.queue.shift();
      this.offset = 0;
    }
    return sample;
  }

  process(_inputs, outputs) {
    const out = outputs[0][0];
    const tail = this.tail.subarray(0, out.length);
    out.set(tail);
    this.tail = this.tail.subarray(tail.length);
    this.decide(out.length);
    const change = 1 / this.samples(FADE_MS);
    for (let i = tail.length; i < out.length && this.playing; i++) {
      this.gain = this.held ? Math.max(0, this.gain - change) : Math.min(1, this.gain + change);
      if (this.held && this.gain === 0) break; // the next sample is the one to go on with
      out[i] = this.next() * this.gain;
      if (this.buffered === 0) this.ranDry();
    }
    const every = this.position < this.samples(FIRST_MS) ? FIRST_REPORT_MS : REPORT_MS;
    if (this.position - this.reported >= this.samples(every)) this.report("position");
    return true;
  }

  decide(length) {
    if (this.playing || this.buffered === 0 || this.held) return;
    this.waited += length;
    const whole = this.ended.has(this.queue[0].reply);
    if (this.buffered >= this.target || whole || this.waited >= this.samples(PATIENCE_MS)) {
      this.playing = true;
      this.waited = 0;
    }
  }

  ranDry() {
    this.playing = false;
    this.waited = 0;
    if (this.ended.has(this.reply)) {
      this.report("drained");
    } else {
      this.target = Math.min(this.target + this.samples(20), this.samples(MOST_MS));
      this.report("position");
    }
  }

  report(type) {
    if (!this.reply) return;
    this.reported = this.position;
    this.port.postMessage({ type, reply: this.reply, samples: this.position });
  }
}

registerProcessor("parley-playback", Playback);
