// Choosing who answers a request that names no model, and the order among equals.

import { button, el, name, say } from "./elements.js";
import { shorten, told } from "./format.js";
import { put, remove } from "./server.js";

const AUTOMATIC = "";
const ANY = "\u0000any"; // a model by its name alone, whoever has it
const ALIAS = "\u0000alias ";
const STRATEGIES = {
  failover: ["As configured", "in the order of the settings"],
  round_robin: ["Round robin", "each gets the same share"],
  least_busy: ["Least busy", "the one with the fewest requests"],
  lowest_latency: ["Fastest", "the one with the quickest first token"],
};

const OURS = "our own slots";
const named = (text, spec) => name(text === "local" ? OURS : shorten(text), spec);

export class RoutingForm {
  constructor(app) {
    this.app = app;
    this.touched = false;
    this.rows = [];
    this.backend = el("select", { name: "backend", onchange: () => this.chose() });
    this.names = el("datalist", { id: "model-names" });
    this.model = el("input", { name: "model", list: "model-names", maxlength: "600", placeholder: "its own default", autocomplete: "off", spellcheck: "false", oninput: () => this.touch() });
    this.modelField = el("label.field", {}, el("span", {}, "Model"), this.model, this.names);
    this.strategies = el("fieldset", { class: "strategies" }, el("legend", {}, "Between backends of the same priority"));
    this.about = el("p.small");
    this.source = el("p.small");
    this.now = el("p.asked");
    this.voice = el("p.small", { hidden: true });
    this.apply = el("button.filled", { type: "submit", disabled: true }, "Apply");
    this.undo = button("Back to the settings", () => this.forget());
    this.element = el(
      "form.card.wide.stacked",
      { onsubmit: (event) => this.submit(event), "aria-labelledby": "routing-title" },
      el("h3.list-title", { id: "routing-title" }, "Default backend"),
      this.now,
      el("div.pair", {}, el("label.field", {}, el("span", {}, "Backend"), this.backend), this.modelField),
      this.about,
      this.strategies,
      el("div.actions", {}, this.apply, this.undo),
      this.source,
      this.voice,
    );
  }

  show(backends, routing) {
    this.rows = backends;
    this.routing = routing;
    this.showAsked(routing);
    this.showSource(routing);
    if (this.touched) return; // what somebody is about to choose stays
    this.offer(backends, routing);
    this.set(routing.default_model.value);
    this.strategy = routing.selection_strategy.value;
  }

  showAsked({ asked, problem }) {
    const key = JSON.stringify([asked, problem]);
    if (key === this.shownAsked) return;
    this.shownAsked = key;
    if (problem) {
      this.now.replaceChildren(el("span.problem", { dir: "auto" }, told(problem)));
      return;
    }
    const others = asked.slice(1, 4).flatMap(({ backend }, index) => [index ? ", " : ". Then ", named(backend, "bdi")]);
    const [{ backend, model }] = asked;
    this.now.replaceChildren("Now asked: ", named(backend, "bdi.strong"), model && model !== "auto" ? " for " : "", model === "auto" ? "" : named(model, "bdi"), ...others, asked.length > 4 ? ", …" : "");
  }

  showSource({ default_model: model, selection_strategy: strategy, settings_file: file, voice_model: voice }) {
    const chosen = [model, strategy].filter((one) => one.source === "chosen");
    this.undo.hidden = !chosen.length;
    const there = file ?? "parley.toml (there is none yet)";
    const says = [model.source === "chosen" ? `default_model = "${model.configured}"` : "", strategy.source === "chosen" ? `selection_strategy = "${strategy.configured}"` : ""].filter(Boolean);
    const words = chosen.length
      ? `Chosen here. It counts instead of ${says.join(" and ")} of ${there}, until that line is changed there.`
      : model.source === "settings" || strategy.source === "settings"
        ? `From ${there}.`
        : "This is Parley's default; nothing else was chosen.";
    say(this.source, words);
    this.voice.hidden = !voice;
    say(this.voice, `Voice sessions do not follow this: [voice.llm] model of the settings says they ask for ${voice}.`);
  }

  offer(backends, { aliases, selection_strategy: strategy }) {
    const key = JSON.stringify([backends.map((row) => [row.name, row.enabled]), aliases]);
    if (key !== this.offered) {
      this.offered = key;
      const aliasGroup = el("optgroup", { label: "Aliases of the settings" });
      aliasGroup.append(...Object.keys(aliases).map((alias) => new Option(alias.slice(0, 80), ALIAS + alias)));
      this.backend.replaceChildren(
        new Option("Automatic: any backend that is ready", AUTOMATIC),
        ...backends.filter((row) => row.enabled).map((row) => new Option(row.name === "local" ? "Our own slots" : row.name.slice(0, 80), row.name)),
        new Option("Any backend that has the model", ANY),
        ...(Object.keys(aliases).length ? [aliasGroup] : []),
      );
    }
    if (this.strategies.children.length > 1) return;
    this.strategies.append(
      ...strategy.choices.map((value) => {
        const [title, what] = STRATEGIES[value] ?? [value, ""];
        const radio = el("input", { type: "radio", name: "strategy", value, onchange: () => this.touch() });
        return el("label.choice", {}, radio, el("span", {}, el("b", {}, title), el("small", {}, what)));
      }),
    );
  }

  // ---- the form as one value ------------------------------------------------------------------------------------

  set(value) {
    const [backend, ...rest] = value.split("/");
    const known = this.rows.some((row) => row.name === backend);
    let chosen = ANY;
    if (["", "default", "auto"].includes(value)) chosen = AUTOMATIC;
    else if (Object.hasOwn(this.routing.aliases, value)) chosen = ALIAS + value;
    else if (known) chosen = backend;
    if (this.backend.value !== chosen) this.backend.value = chosen;
    const model = chosen === ANY ? value : chosen === backend && known ? rest.join("/") : "";
    if (this.model.value !== model) this.model.value = model;
    this.describe();
  }

  get value() {
    const { value: backend } = this.backend;
    const model = this.model.value.trim();
    if (backend === AUTOMATIC) return "";
    if (backend.startsWith(ALIAS)) return backend.slice(ALIAS.length);
    if (backend === ANY) return model;
    return model ? `${backend}/${model}` : backend;
  }

  set strategy(value) {
    for (const radio of this.strategies.querySelectorAll("input")) radio.checked = radio.value === value;
  }

  get strategy() {
    return this.strategies.querySelector("input:checked")?.value;
  }

  chose() {
    this.model.value = "";
    this.touch();
    this.describe();
  }

  touch() {
    this.touched = true;
    this.apply.disabled = false;
  }

  describe() {
    const { value: backend } = this.backend;
    this.modelField.hidden = backend === AUTOMATIC || backend.startsWith(ALIAS);
    this.model.required = backend === ANY;
    const rows = this.rows.filter((row) => backend === ANY || row.name === backend);
    const models = [...new Set(rows.flatMap((row) => (row.models ?? []).map((model) => model.id)))];
    this.names.replaceChildren(...models.map((id) => new Option("", id)));
    this.model.placeholder = rows[0]?.model && backend !== ANY && rows[0].model !== "auto" ? `its own: ${rows[0].model}` : backend === ANY ? "its name" : "its own default";
    const only = "If it fails, no other backend is asked. Choose Automatic to fall back to others.";
    say(this.about, backend === AUTOMATIC ? "Healthy backends with the highest priority are asked first. If one fails, the next is asked." : backend === ANY ? "Every backend that lists the model may answer." : only);
  }

  // ---- what is done with it -------------------------------------------------------------------------------------

  async submit(event) {
    event.preventDefault();
    const body = { default_model: this.value, selection_strategy: this.strategy };
    this.apply.disabled = true;
    if (await this.app.act(() => put("/admin/api/routing", body), "Applied. It takes effect with the next request and is kept over restarts.")) this.touched = false;
    else this.apply.disabled = false;
  }

  async forget() {
    if (await this.app.act(() => remove("/admin/api/routing"), "Back to the settings.")) {
      this.touched = false;
      this.apply.disabled = true;
    }
  }
}
