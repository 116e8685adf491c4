// Asking again and again: only while the page is seen, more seldom while nobody answers.

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 15_000;

export class Poll {
  /**
   * `work()` is awaited, then `everyMs()` passes. When it throws, `failed(error, pauseMs)` is told and the pauses grow;
   * a truthy answer of `failed` ends the polling.
   */
  constructor(work, everyMs, failed) {
    this.work = work;
    this.everyMs = everyMs;
    this.failed = failed;
    this.timer = 0;
    this.pauseMs = FIRST_PAUSE_MS;
    this.busy = false;
    this.again = false;
    this.over = false;
    document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(this.timer) : this.now()));
    addEventListener("online", () => this.now());
  }

  /** Ask at once. */
  async now() {
    clearTimeout(this.timer);
    if (this.over || document.hidden) return;
    if (this.busy) {
      this.again = true;
      return;
    }
    this.busy = true;
    let nextMs;
    try {
      await this.work();
      this.pauseMs = FIRST_PAUSE_MS;
      nextMs = this.everyMs();
    } catch (error) {
      nextMs = this.pauseMs;
      this.pauseMs = Math.min(LONGEST_PAUSE_MS, this.pauseMs * 1.7);
      this.over = Boolean(this.failed(error, nextMs));
    }
    this.busy = false;
    if (this.again) nextMs = 0;
    this.again = false;
    clearTimeout(this.timer);
    if (!document.hidden && !this.over) this.timer = setTimeout(() => this.now(), nextMs);
  }
}
