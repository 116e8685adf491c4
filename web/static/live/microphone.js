// The microphone: asks for it, runs the capture worklet, hands out PCM16 frames with their level.

import { addWorklet } from "./worklet.js";

export const INPUT_RATE = 16000;
const FRAME_MS = 32; // what the voice detector looks at

export class MicrophoneError extends Error {
  /** `kind`: "denied", "missing", "busy", "insecure" or "failed". */
  constructor(kind, cause) {
    super(kind, { cause });
    this.kind = kind;
  }
}

const KINDS = { NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "missing", OverconstrainedError: "missing", NotReadableError: "busy", AbortError: "busy" };

export class Microphone {
  /** `onFrame(pcm: ArrayBuffer, level: 0..1)`; `onLost()` when the device goes away. */
  constructor(onFrame, onLost) {
    this.onFrame = onFrame;
    this.onLost = onLost;
    this.stream = null;
    this.context = null;
    this.frames = 0;
    this.wish = 0; // counts open() and close(): only the last of them counts
  }

  get on() {
    return this.stream !== null;
  }

  get label() {
    return this.stream?.getAudioTracks()[0]?.label ?? "";
  }

  /** The browser takes our own voice out of what the microphone hears. */
  get cancelsEcho() {
    return Boolean(this.stream?.getAudioTracks()[0]?.getSettings?.().echoCancellation);
  }

  /**
   * Opens the device; asks the user if need be. False where it was closed, or opened once more, meanwhile. Throws
   * MicrophoneError.
   */
  async open({ deviceId, echoCancellation }) {
    this.close();
    const { wish } = this;
    if (!navigator.mediaDevices?.getUserMedia) throw new MicrophoneError("insecure");
    const audio = { channelCount: 1, echoCancellation, noiseSuppression: true, autoGainControl: true };
    if (deviceId) audio.deviceId = { exact: deviceId };
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      if (wish !== this.wish) return false;
      // A device that was chosen once and is not there today.
      if (deviceId && KINDS[error.name] === "missing") return this.open({ deviceId: "", echoCancellation });
      throw new MicrophoneError(KINDS[error.name] ?? "failed", error);
    }
    const context = new AudioContext({ latencyHint: "interactive" });
    const letGo = () => {
      for (const track of stream.getTracks()) track.stop();
      context.close();
    };
    try {
      await this.listen(stream, context);
    } catch (error) {
      letGo();
      if (wish !== this.wish) return false;
      throw new MicrophoneError("failed", error);
    }
    if (wish !== this.wish) {
      letGo();
      return false;
    }
    this.stream = stream;
    this.context = context;
    return true;
  }

  async listen(stream, context) {
    context.addEventListener("statechange", () => this.wake().catch(() => {})); // as the loudspeaker's
    await addWorklet(context, "./capture-worklet.js");
    const node = new AudioWorkletNode(context, "parley-capture", {
      numberOfOutputs: 0,
      processorOptions: { rate: INPUT_RATE, frameMs: FRAME_MS },
    });
    node.port.onmessage = ({ data }) => {
      if (this.stream !== stream) return;
      this.frames++;
      this.onFrame(data.pcm, data.level);
    };
    context.createMediaStreamSource(stream).connect(node);
    await context.resume();
    const [track] = stream.getAudioTracks();
    track.addEventListener("ended", () => {
      if (this.stream === stream) {
        this.close();
        this.onLost();
      }
    });
    if (track.readyState === "ended") throw new Error("It was unplugged at once.");
  }

  /** Phones put audio to sleep with the screen. */
  async wake() {
    if (this.context?.state === "suspended" || this.context?.state === "interrupted") await this.context.resume();
  }

  close() {
    this.wish++;
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.context?.close();
    this.stream = null;
    this.context = null;
  }
}
