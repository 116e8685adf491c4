// The microphone's end of the audio thread: channels to one, the device's rate to ours, floats to PCM16, in frames.

import { Resampler } from "./resampler.js";

class Capture extends AudioWorkletProcessor {
  constructor(options) {
    super();
    const { rate, frameMs } = options.processorOptions;
    this.resampler = new Resampler(sampleRate, rate);
    this.frame = new Int16Array(Math.round((rate * frameMs) / 1000));
    this.filled = 0;
    this.energy = 0;
  }

  process(inputs) {
    const channels = inputs[0];
    if (channels.length === 0) return true;
    const samples = this.resampler.process(mixed(channels));
    for (const sample of samples) {
      const clipped = Math.max(-1, Math.min(1, sample));
      this.energy += clipped * clipped;
      this.frame[this.filled++] = clipped < 0 ? clipped * 32768 : clipped * 32767;
      if (this.filled === this.frame.length) this.send();
    }
    return true;
  }

  send() {
    const level = Math.sqrt(this.energy / this.filled);
    const pcm = this.frame.slice().buffer;
    this.port.postMessage({ pcm, level }, [pcm]);
    this.filled = 0;
    this.energy = 0;
  }
}

function mixed(channels) {
  if (channels.length === 1) return channels[0];
  const sum = new Float32Array(channels[0].length);
  for (const channel of channels) {
    for (let i = 0; i < sum.length; i++) sum[i] += channel[i] / channels.length;
  }
  return sum;
}

registerProcessor("parley-capture", Capture);
