// The loudspeaker: plays PCM16 of replies through the playback worklet and says how far it is.

import { addWorklet } from "./worklet.js";

export const OUTPUT_RATE = 24000;
const WAKE_MS = 1000;

export class Speaker {
  /** `onPosition(reply, ms, isEnd)`: what has left the loudspeaker, the device's own delay taken off. */
  constructor(onPosition) {
    this.onPosition = onPosition;
    this.context = null;
    this.node = null;
    this.analyser = null;
    this.samplesPlayed = 0;
    this.peak = 0;
    this.last = { reply: "", samples: 0 };
    this.opening = null;
  }

  open() {
    this.opening ??= this.start().catch((error) => {
      this.opening = null; // it may go well the next time
      throw error;
    });
    return this.opening;
  }

  async start() {
    const context = new AudioContext({ sampleRate: OUTPUT_RATE, latencyHint: "interactive" });
    context.resume().catch(() => {}); // at once, while the click still counts
    try {
      await addWorklet(context, "./playback-worklet.js");
    } catch (error) {
      context.close();
      throw error;
    }
    const node = new AudioWorkletNode(context, "parley-playback", { numberOfInputs: 0, outputChannelCount: [1] });
    const analyser = new AnalyserNode(context, { fftSize: 512 });
    node.connect(analyser).connect(context.destination);
    node.port.onmessage = ({ data }) => this.hear(data);
    this.context = context;
    this.node = node;
    this.analyser = analyser;
    this.wave = new Float32Array(analyser.fftSize);
    // A call that comes in puts audio to sleep; where it may not be woken yet, the page that is seen again does it.
    context.addEventListener("statechange", () => this.wake().catch(() => {}));
  }

  get delayMs() {
    return 1000 * ((this.context?.outputLatency || 0) + (this.context?.baseLatency || 0));
  }

  hear({ type, reply, samples }) {
    if (type === "stopped") {
      this.stopped?.({ reply, ms: (1000 * samples) / OUTPUT_RATE });
      return;
    }
    const advanced = reply === this.last.reply ? samples - this.last.samples : samples;
    this.samplesPlayed += Math.max(0, advanced);
    this.last = { reply, samples };
    const ms = (1000 * samples) / OUTPUT_RATE;
    if (type !== "drained") {
      this.onPosition(reply, Math.max(0, ms - this.delayMs), false);
      return;
    }
    // The last samples are on their way through the device still.
    setTimeout(() => this.onPosition(reply, ms, true), this.delayMs);
  }

  play(reply, pcm) {
    this.node?.port.postMessage({ type: "pcm", reply, pcm }, [pcm]);
  }

  end(reply) {
    this.node?.port.postMessage({ type: "end", reply });
  }

  /** Stand still, and go on later from the same sample. */
  hold(on) {
    this.node?.port.postMessage({ type: "hold", on });
  }

  flush() {
    this.node?.port.postMessage({ type: "flush" });
  }

  /** Another conversation begins, and counts its replies anew. */
  forget() {
    this.node?.port.postMessage({ type: "forget" });
    this.last = { reply: "", samples: 0 };
  }

  /** Drops what is buffered; resolves to {reply, ms}: the sample at which to go on. */
  stop() {
    if (!this.node) return Promise.resolve({ reply: "", ms: 0 });
    return new Promise((resolve) => {
      this.stopped = resolve;
      this.node.port.postMessage({ type: "stop" });
      setTimeout(() => resolve({ ...this.last, ms: (1000 * this.last.samples) / OUTPUT_RATE }), 200); // audio is suspended
    });
  }

  /** How loud it is just now, 0 to 1. */
  level() {
    if (!this.analyser) return 0;
    this.analyser.getFloatTimeDomainData(this.wave);
    let sum = 0;
    for (const sample of this.wave) sum += sample * sample;
    const level = Math.sqrt(sum / this.wave.length);
    this.peak = Math.max(this.peak, level);
    return level;
  }

  /** Resolves to whether it plays. A browser keeps it silent until somebody has clicked or pressed a key. */
  async wake() {
    const { context } = this;
    if (!context) return false;
    if (context.state !== "running") await Promise.race([context.resume(), new Promise((late) => setTimeout(late, WAKE_MS))]);
    return context.state === "running";
  }

  get canChoose() {
    return typeof AudioContext.prototype.setSinkId === "function";
  }

  async choose(deviceId) {
    if (this.context && this.canChoose) await this.context.setSinkId(deviceId);
  }
}
