// The admin page: which section is seen, asking the server for it, and whether the server is there at all.

import { Backends } from "./backends.js";
import { Confirm } from "./confirm.js";
import { Downloads } from "./downloads.js";
import { say } from "./elements.js";
import { told } from "./format.js";
import { Performance } from "./performance.js";
import { Poll } from "./poll.js";
import { Refusal, Unreachable } from "./server.js";
import { Slots } from "./slots.js";
import { Turns } from "./turns.js";

const SECTIONS = { performance: Performance, slots: Slots, backends: Backends, downloads: Downloads, turns: Turns };
const EVERY_MS = 2000;
const SAYS_FOR_MS = 8000;

class App {
  constructor() {
    this.connectionText = document.getElementById("connection-text");
    this.says = document.getElementById("says");
    this.confirm = new Confirm();
    this.sections = new Map();
    for (const [id, Section] of Object.entries(SECTIONS)) {
      this.sections.set(id, new Section(document.getElementById(id), this));
    }
    this.failures = 0;
    this.poll = new Poll(() => this.refresh(), () => Math.min(EVERY_MS, this.section.everyMs ?? EVERY_MS), (error, pauseMs) => this.failed(error, pauseMs));
    addEventListener("hashchange", () => this.choose());
    this.choose();
  }

  get section() {
    return this.sections.get(this.current);
  }

  /** The section of the address, the first where there is none. */
  choose() {
    const wanted = location.hash.slice(1);
    const id = this.sections.has(wanted) ? wanted : "performance";
    if (id !== this.current) this.section?.left?.();
    this.current = id;
    for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== id;
    for (const link of document.querySelectorAll(".sections a")) {
      if (link.hash === `#${id}`) {
        link.setAttribute("aria-current", "page");
        link.scrollIntoView({ block: "nearest", inline: "nearest" });
      } else link.removeAttribute("aria-current");
    }
    scrollTo(0, 0);
    this.poll.now();
  }

  /** The performance is always asked for: its pictures over time have no holes then. */
  async refresh() {
    const { section, current } = this;
    const always = this.sections.get("performance");
    const [performance, other] = await Promise.all([always.load(), section === always ? null : section.load()]);
    always.show(performance);
    if (section !== always && this.current === current) section.show(other);
    this.loaded = current;
    this.connected("open", "connected");
  }

  connected(state, words) {
    document.body.dataset.connection = state;
    say(this.connectionText, words);
  }

  /** True: asking again is useless. */
  failed(error, pauseMs) {
    if (error instanceof Unreachable) {
      this.connected("waiting", `the server does not answer, next try in ${Math.ceil(pauseMs / 1000)} s`);
      return false;
    }
    if (error instanceof Refusal && error.status === 401) {
      this.signedOut();
      return true;
    }
    this.connected("refused", error.message);
    if (!(error instanceof Refusal)) console.error(error);
    return false;
  }

  signedOut() {
    this.connected("refused", "signed out");
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close(); // nothing below one can be reached
    document.getElementById("signed-out").hidden = false;
    document.getElementById("key").focus();
  }

  /** Do something on the server, say how it went, look again. False where it did not work. */
  async act(work, words) {
    try {
      await work();
      this.tell(words);
      return true;
    } catch (error) {
      if (error instanceof Refusal && error.status === 401) this.signedOut();
      else this.tell(told(error), true);
      return false;
    }
  }

  tell(words, wrong = false) {
    clearTimeout(this.timer);
    const line = document.createElement("p");
    line.dir = "auto";
    line.className = wrong ? "said wrong" : "said";
    line.textContent = words;
    this.says.replaceChildren(line);
    this.timer = setTimeout(() => this.says.replaceChildren(), SAYS_FOR_MS * (wrong ? 2 : 1));
    this.poll.now();
  }
}

const app = new App();

// A look inside, for tests and for the curious. Reading changes nothing.
Object.defineProperty(window, "parley", {
  value: Object.freeze({
    get connection() { return document.body.dataset.connection; },
    get section() { return app.current; },
    get loaded() { return app.loaded; },
  }),
});
