// What the server's counters did while this page was open: a ring of moments, for the pictures over time.

const KEPT = 150;

export class History {
  constructor() {
    this.moments = [];
    this.before = null;
  }

  /** `figures`: {name: value}; `counters`: {name: what only grows}. Counters become rates per second. */
  add(atMs, figures, counters) {
    const { before } = this;
    this.before = { atMs, counters };
    const moment = { atMs, ...figures };
    const passedS = before ? (atMs - before.atMs) / 1000 : 0;
    for (const [name, value] of Object.entries(counters)) {
      // A counter that shrank began anew: what it did between is not known.
      moment[name] = passedS > 0 ? Math.max(0, value - before.counters[name]) / passedS : 0;
    }
    this.moments.push(moment);
    if (this.moments.length > KEPT) this.moments.shift();
  }

  of(name) {
    return this.moments.map((moment) => moment[name]);
  }

  get spanS() {
    const { moments } = this;
    return moments.length > 1 ? (moments.at(-1).atMs - moments[0].atMs) / 1000 : 0;
  }
}
