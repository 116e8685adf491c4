// The models that Parley recommends, and what the hub finds.

import { button, el, name, say } from "./elements.js";
import { count, told } from "./format.js";
import { get } from "./server.js";

const KINDS = { stt: "speech recognition", tts: "voice", llm: "language model", embedding: "embeddings", vision: "language model that sees images", rerank: "reranking" };

export class Catalogue {
  /** `start(model)` begins a download; `running(model)` is its job, if there is one. */
  constructor(start, running) {
    this.start = start;
    this.running = running;
    this.language = "";
    this.models = null;
    this.names = el("datalist", { id: "catalogue-names" });
    this.found = el("div.found", { "aria-live": "polite", hidden: true });
    this.languages = el("select", { onchange: () => this.choose(), "aria-label": "Language" });
    this.set = el("ul.offers");
    this.all = el("ul.offers");
    this.total = el("p.small");
    this.everything = button("Download all", () => this.startSet(), "button.small-button.strong");
    this.element = el(
      "div.card.wide",
      { hidden: true },
      el("div.card-head", {}, el("h3.list-title", {}, "Recommended for this machine"), el("label.small.inline", {}, "spoken language ", this.languages)),
      this.set,
      el("div.card-head", {}, this.total, this.everything),
      el("details", {}, el("summary", {}, "The whole catalogue"), this.all),
    );
  }

  /** Asks once, and again when something was installed. */
  async load() {
    if (this.models) return;
    const answer = await get(`/admin/api/models/catalog${this.language ? `?language=${encodeURIComponent(this.language)}` : ""}`);
    this.language = answer.language;
    this.models = answer.models;
    this.hub = answer.hub;
    this.languages.replaceChildren(...answer.languages.map((code) => new Option(languageName(code), code)));
    this.languages.value = answer.language;
    this.names.replaceChildren(...answer.models.map((model) => new Option(model.note, model.name)));
    const { set, rest } = Object.groupBy?.(answer.models, (model) => (model.recommended ? "set" : "rest")) ?? { set: answer.models, rest: [] };
    this.offers = [...this.fill(this.set, set ?? []), ...this.fill(this.all, rest ?? [])];
    this.missing = (set ?? []).filter((model) => !model.installed);
    const size = this.missing.reduce((sum, model) => sum + model.size_mb, 0);
    say(this.total, this.missing.length ? `About ${count(size)} MB from ${answer.hub.replace("https://", "")}.` : "All of it is installed.");
    this.everything.hidden = !this.missing.length;
    this.element.hidden = false;
  }

  stale() {
    this.models = null;
  }

  choose() {
    this.language = this.languages.value;
    this.models = null;
    this.load().catch((error) => say(this.total, told(error)));
  }

  fill(list, models) {
    const offers = models.map((model) => {
      const state = el("span.tag.on", { hidden: true });
      const get_ = button("Download", () => this.start(model.name), "button.small-button", { "aria-label": `Download ${model.name}` });
      const element = el(
        "li.offer",
        {},
        el("span.titles", {}, el("span.strong", {}, model.name, el("span.small", {}, ` ${KINDS[model.kind] ?? model.kind}`)), el("span.small", {}, model.note), el("span.small", {}, `${count(model.size_mb)} MB · licence: ${model.licence}`)),
        state,
        get_,
      );
      return { model, element, state, button: get_ };
    });
    list.replaceChildren(...offers.map((offer) => offer.element));
    return offers;
  }

  show() {
    for (const { model, state, button: start } of this.offers ?? []) {
      const running = this.running(model.name);
      say(state, model.installed ? "installed" : running ? "downloading" : "");
      state.hidden = !model.installed && !running;
      start.hidden = model.installed || Boolean(running);
    }
  }

  async startSet() {
    for (const model of this.missing) {
      if (!(await this.start(model.name))) return;
    }
  }

  async search(text) {
    const asked = text.trim();
    this.found.hidden = false;
    if (!asked) {
      this.found.replaceChildren(el("p.small", {}, "Type what to look for, for example “qwen3 gguf”."));
      return;
    }
    this.found.replaceChildren(el("p.small", {}, "Asking the hub…"));
    try {
      const { models } = await get(`/admin/api/models/search?limit=12&q=${encodeURIComponent(asked.slice(0, 200))}`);
      this.found.replaceChildren(models.length ? el("ul.offers", {}, ...models.map((model) => this.hit(model))) : el("p.small", {}, "No GGUF model with that name was found."));
    } catch (error) {
      this.found.replaceChildren(el("p.problem", { dir: "auto" }, told(error)));
    }
  }

  hit({ model, downloads, licence, gated }) {
    const about = [`${count(downloads)} downloads`, licence ? `licence: ${licence}` : "licence unknown", gated ? "its terms must be accepted on its page first" : ""];
    return el(
      "li.offer",
      {},
      el("span.titles", {}, name(model, "bdi.name.strong"), el("span.small", {}, about.filter(Boolean).join(" · "))),
      button("Download", () => this.start(model), "button.small-button", { "aria-label": `Download ${model}` }),
    );
  }
}

function languageName(code) {
  try {
    return new Intl.DisplayNames(undefined, { type: "language" }).of(code) ?? code;
  } catch {
    return code;
  }
}
