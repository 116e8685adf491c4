// A streaming windowed-sinc resampler: one channel, any two rates. Runs inside the audio worklet.
//
// The pass band ends at 0.45 of the lower rate, as speech recognisers like it; what lies above would fold back into
// it and is filtered out. Kaiser window, beta 8: about 80 dB.

const ZERO_CROSSINGS = 16;
const PHASES = 256;
const BETA = 8;

function bessel0(x) {
  let sum = 1;
  let term = 1;
  for (let k = 1; k < 32; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

export class Resampler {
  constructor(fromHz, toHz) {
    this.step = fromHz / toHz;
    const cutoff = Math.min(1, toHz / fromHz) * 0.92;
    this.half = Math.ceil(ZERO_CROSSINGS / cutoff);
    this.table = makeTable(this.half, cutoff);
    this.history = new Float32Array(2 * this.half);
    this.position = 0; // of the next output sample, in input samples behind the start of `history` + half
  }

  /** Float32Array in, Float32Array out: as many samples as are ready. Delay: `half` input samples. */
  process(input) {
    if (this.step === 1) return input;
    const { half, table, step } = this;
    const taps = 2 * half;
    const samples = new Float32Array(this.history.length + input.length);
    samples.set(this.history);
    samples.set(input, this.history.length);
    const last = samples.length - taps;
    const out = new Float32Array(Math.max(0, Math.ceil((last - this.position) / step)));
    let count = 0;
    let at = this.position;
    for (; at < last && count < out.length; at += step) {
      const whole = Math.floor(at);
      const phase = Math.round((at - whole) * PHASES);
      const row = phase * taps;
      let sum = 0;
      for (let tap = 0; tap < taps; tap++) sum += samples[whole + tap] * table[row + tap];
      out[count++] = sum;
    }
    const keepFrom = Math.min(Math.floor(at), last);
    this.history = samples.slice(keepFrom);
    this.position = at - keepFrom;
    return out.subarray(0, count);
  }
}

function makeTable(half, cutoff) {
  const taps = 2 * half;
  const table = new Float32Array((PHASES + 1) * taps);
  const full = bessel0(BETA);
  for (let phase = 0; phase <= PHASES; phase++) {
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) {
      const x = tap - half + 1 - phase / PHASES;
      const angle = Math.PI * x * cutoff;
      const sinc = x === 0 ? 1 : Math.sin(angle) / angle;
      const inside = 1 - (x / half) ** 2;
      const value = inside > 0 ? sinc * (bessel0(BETA * Math.sqrt(inside)) / full) : 0;
      table[phase * taps + tap] = value;
      sum += value;
    }
    for (let tap = 0; tap < taps; tap++) table[phase * taps + tap] /= sum;
  }
  return table;
}
