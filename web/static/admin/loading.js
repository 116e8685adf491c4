// The dialog that puts a model into a slot.

import { el, say } from "./elements.js";
import { bytes, told } from "./format.js";
import { get, post } from "./server.js";

const TYPES = { llm: "language models", stt: "recognisers", tts: "voices", embedding: "embeddings", rerank: "rerankers" };

export class LoadDialog {
  /** `done(words)` after an order was taken. */
  constructor(done) {
    this.done = done;
    this.title = el("h2", { id: "load-title" });
    this.model = el("select", { name: "model", required: true });
    this.slot = el("select", { name: "slot" });
    this.context = el("input", { name: "context", type: "number", min: "16", max: "10000000", step: "1", placeholder: "default: as the model was trained", inputmode: "numeric" });
    this.pinned = el("input", { name: "pinned", type: "checkbox" });
    this.problem = el("p.problem", { role: "alert", hidden: true });
    this.send = el("button.filled", { type: "submit" }, "Load");
    this.form = el(
      "form.stacked",
      { onsubmit: (event) => this.submit(event) },
      this.title,
      el("label.field", {}, el("span", {}, "Model"), this.model),
      el("label.field", {}, el("span", {}, "Slot"), this.slot),
      el("label.field", {}, el("span", {}, "Context in tokens"), this.context),
      el("label.choice", {}, this.pinned, el("span", {}, el("b", {}, "Pinned"), el("small", {}, "Never unload it to make room for another model"))),
      this.problem,
      el("div.notice-actions", {}, this.send, el("button.quiet", { type: "button", onclick: () => this.dialog.close() }, "Cancel")),
    );
    this.dialog = el("dialog", { "aria-labelledby": "load-title" }, this.form);
    document.body.append(this.dialog);
  }

  /** `slots`: rows of the server; `number`: the slot that is chosen, 0 for any; `model`: a path or name that is chosen. */
  async open(slots, number = 0, model = "") {
    say(this.title, number ? `Load into slot ${number}` : "Load a model");
    this.tell("");
    this.slot.replaceChildren(
      new Option("any free slot", "0"),
      ...slots.map((row) => new Option(`${row.slot}${row.model ? `: in place of ${row.model.slice(0, 60)}` : ""}`, String(row.slot))),
    );
    this.slot.value = String(number);
    this.pinned.checked = false;
    this.context.value = "";
    this.model.replaceChildren(new Option("reading the model folder", ""));
    this.dialog.showModal();
    try {
      const { models } = await get("/admin/api/models/local");
      this.offer(models, model);
    } catch (error) {
      this.tell(told(error));
    }
  }

  offer(models, chosen) {
    const groups = new Map();
    for (const model of models) {
      const label = TYPES[model.type] ?? model.type;
      const size = model.size_bytes ? `, ${bytes(model.size_bytes)}` : "";
      const there = model.slot ? ` (in slot ${model.slot})` : "";
      const option = new Option(`${model.name.slice(0, 80)}${size}${there}`, model.path);
      groups.set(label, [...(groups.get(label) ?? []), option]);
      if (chosen && (chosen === model.name || chosen === model.path)) option.selected = true;
    }
    this.model.replaceChildren(
      ...[...groups].map(([label, options]) => {
        const group = el("optgroup", { label });
        group.append(...options);
        return group;
      }),
    );
    if (!models.length) this.tell("No model is installed yet. Get one in the section Downloads.");
    this.send.disabled = !models.length;
  }

  async submit(event) {
    event.preventDefault();
    const body = { model_path: this.model.value, pinned: this.pinned.checked };
    if (this.slot.value !== "0") body.slot = Number(this.slot.value);
    if (this.context.value) body.ctx_size = Number(this.context.value);
    this.send.disabled = true;
    try {
      const row = await post("/admin/api/slots/load", body);
      this.dialog.close();
      this.done(`${row.model} is being loaded${row.slot ? ` into slot ${row.slot}` : ""}.`);
    } catch (error) {
      this.tell(told(error));
    } finally {
      this.send.disabled = false;
    }
  }

  tell(text) {
    say(this.problem, text);
    this.problem.hidden = !text;
  }
}
