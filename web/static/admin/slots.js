// What every slot holds, how far a load is, and what can be done with it.

import { button, el, figure, Keyed, name, rename, say } from "./elements.js";
import { bytes, count, percent, seconds } from "./format.js";
import { LoadDialog } from "./loading.js";
import { Progress, Shares } from "./pictures.js";
import { get, post } from "./server.js";

const SAYS = {
  empty: "empty",
  loading: "loading",
  ready: "ready",
  down: "its worker stopped and is being restarted",
  stopping: "stopping",
  blocked: "its port is taken by another program",
  draining: "finishing its requests before it is unloaded",
};
const WRONG = new Set(["down", "blocked"]);

class Slot {
  constructor(row, actions) {
    const number = row.slot;
    this.actions = actions;
    this.title = name("", "bdi.name.strong");
    this.state = el("span.state-text");
    this.mark = el("span.dot", { "aria-hidden": "true" });
    this.pin = el("span.tag", {}, "pinned");
    this.type = el("span.tag");
    this.progress = new Progress(`Loading into slot ${number}`);
    this.figures = {
      memory: figure("Memory"),
      requests: figure("Requests"),
      context: figure("Context"),
      idle: figure("Idle"),
      worker: figure("Worker"),
    };
    this.problem = el("div.problem-box", { hidden: true });
    this.log = el("pre.log");
    this.details = el("details", {}, el("summary", {}, "Last lines of its log"), this.log);
    const of = (verb) => ({ "aria-label": `${verb} slot ${number}` });
    this.buttons = {
      load: button("Load…", () => actions.load(this.row), "button.small-button.strong", of("Load a model into")),
      swap: button("Swap…", () => actions.load(this.row), "button.small-button", of("Swap: load another model into")),
      pin: button("Pin", () => actions.pin(this.row), "button.small-button"),
      restart: button("Restart", () => actions.restart(this.row), "button.small-button", of("Restart")),
      unload: button("Unload", () => actions.unload(this.row), "button.small-button", of("Unload")),
      force: button("Unload at once", () => actions.unload(this.row, true), "button.small-button", of("Unload at once:")),
    };
    this.element = el(
      "li.row.slot",
      { id: `slot-${number}` },
      el(
        "div.row-title",
        {},
        el("span.number", { "aria-hidden": "true" }, String(number)),
        el("span.titles", {}, el("span.visually-hidden", {}, `Slot ${number}: `), this.title, el("span.small.state-line", {}, this.mark, this.state)),
        el("span.tags", {}, this.type, this.pin),
      ),
      this.progress.element,
      el("dl.figures", {}, ...Object.values(this.figures).map((one) => one.element)),
      this.problem,
      this.details,
      el("div.actions", {}, ...Object.values(this.buttons)),
    );
  }

  show(row) {
    this.row = row;
    const { status, memory } = row;
    const held = Boolean(row.model) && "pid" in row;
    this.element.dataset.status = status;
    rename(this.title, row.model ?? "Empty");
    say(this.state, this.says(row));
    this.state.parentElement.hidden = status === "empty" && !row.error;
    this.mark.className = `dot ${WRONG.has(status) || row.error ? "bad" : status === "ready" ? "good" : ""}`;
    this.pin.hidden = !row.pinned;
    this.type.hidden = !row.type;
    say(this.type, row.type ?? "");
    this.showLoad(row);
    for (const one of Object.values(this.figures)) one.element.hidden = !held;
    if (held) {
      const used = memory.used_bytes;
      this.figures.memory.show(used ? bytes(used) : `about ${bytes(memory.expected_bytes)}`);
      this.figures.requests.show(`${row.running} running${row.waiting ? `, ${row.waiting} waiting` : ""}`);
      this.figures.context.element.hidden = !row.context;
      this.figures.context.show(`${count(row.context)} tokens`);
      this.figures.idle.show(row.running ? "working" : seconds(row.idle_s));
      this.figures.worker.show(`port ${row.port}${row.restarts ? `, restarted ${row.restarts === 1 ? "once" : `${row.restarts} times`}` : ""}`);
    }
    this.showProblem(row);
    this.showButtons(row, held);
  }

  says(row) {
    if (row.error) return `${row.error.model} could not be loaded`;
    if (row.status === "loading" && Number.isFinite(row.progress)) return `loading, ${percent(row.progress)}`;
    return SAYS[row.status] ?? row.status;
  }

  showLoad(row) {
    const loading = row.status === "loading" || row.status === "down";
    this.progress.element.hidden = !loading;
    if (loading) this.progress.show(row.progress ?? NaN, this.says(row));
  }

  showProblem({ error, status, log_tail: lines = [] }) {
    this.problem.hidden = !error;
    if (error) {
      const words = [error.message, error.hint].filter(Boolean);
      if (this.problem.textContent !== words.join("")) this.problem.replaceChildren(...words.map((line) => el("p", { dir: "auto" }, line)));
    }
    this.details.hidden = !lines.length;
    say(this.log, lines.join("\n"));
    if (WRONG.has(status) && !this.wasWrong) this.details.open = true;
    this.wasWrong = WRONG.has(status);
  }

  showButtons(row, held) {
    const { load, swap, pin, restart, unload, force } = this.buttons;
    const going = row.status === "draining" || row.status === "stopping";
    load.hidden = held || Boolean(row.model);
    for (const one of [swap, pin, restart, unload]) one.hidden = !held || going;
    force.hidden = row.status !== "draining";
    say(pin, row.pinned ? "Unpin" : "Pin");
    pin.setAttribute("aria-label", `${row.pinned ? "Unpin" : "Pin"} slot ${row.slot}`);
    pin.setAttribute("aria-pressed", String(Boolean(row.pinned)));
    say(load, row.error ? "Try again…" : "Load…");
  }
}

export class Slots {
  /** `app`: act(work, words) does something and tells how it went; confirm.ask(...). */
  constructor(section, app) {
    this.app = app;
    this.rows = [];
    this.dialog = new LoadDialog((words) => app.tell(words));
    this.memory = new Shares();
    this.waiting = el("p.small");
    this.list = el("ul.rows.slots");
    this.empty = el("p.empty", {}, "This server has no slots ([llm] slots = 0). Only other servers answer.");
    this.loadButton = button("Load a model…", () => this.dialog.open(this.rows), "button.small-button.strong");
    const actions = {
      load: (row) => this.dialog.open(this.rows, row.slot, row.error?.model ?? ""),
      pin: (row) => app.act(() => post(`/admin/api/slots/${row.slot}/pin`, { pinned: !row.pinned, model: row.model }), `Slot ${row.slot} is ${row.pinned ? "no longer pinned" : "pinned"}.`),
      restart: (row) => this.restart(row),
      unload: (row, force) => this.unload(row, force),
    };
    this.keyed = new Keyed(this.list, (row) => new Slot(row, actions));
    section.querySelector("h2").after(
      el("div.card.wide", {}, el("div.card-head", {}, el("h3", {}, "Memory"), this.loadButton), this.memory.element, this.waiting),
      this.empty,
      this.list,
    );
  }

  async load() {
    return get("/admin/api/slots");
  }

  /** More often while something moves. */
  get everyMs() {
    return this.rows.some((row) => !["empty", "ready"].includes(row.status)) ? 700 : 2000;
  }

  show({ slots, waiting, memory, gpus }) {
    this.rows = slots;
    const taken = memory.total_bytes - memory.available_bytes;
    const models = slots.map((row) => ({ row, used: row.memory?.used_bytes ?? 0 })).filter(({ used }) => used > 0);
    const ours = models.reduce((sum, { used }) => sum + used, 0);
    const parts = models.map(({ row, used }, index) => ({ before: `${row.slot}:`, name: row.model, after: bytes(used), value: used, kind: `part-${index % 4}` }));
    parts.push({ name: "other programs", after: bytes(Math.max(0, taken - ours)), value: Math.max(0, taken - ours), kind: "part-other" });
    parts.push({ name: "free", after: bytes(memory.available_bytes), value: memory.available_bytes, kind: "part-free" });
    this.memory.show(parts, memory.total_bytes);
    const cards = gpus.map((gpu) => `${gpu.name}: ${bytes(gpu.total_bytes - gpu.free_bytes)} of ${bytes(gpu.total_bytes)} used.`);
    say(this.waiting, [waiting ? `${waiting} requests are waiting.` : "No requests are waiting.", ...cards].join(" "));
    this.empty.hidden = slots.length > 0;
    this.loadButton.hidden = !slots.length;
    this.keyed.show(slots, (row) => row.slot);
  }

  async restart(row) {
    const busy = row.running ? `Its ${row.running} running requests are finished first.` : "It takes no requests until it is loaded again.";
    if (!(await this.app.confirm.ask(`Restart slot ${row.slot}?`, `${row.model} gets a new worker. ${busy}`, "Restart"))) return;
    await this.app.act(() => post(`/admin/api/slots/${row.slot}/restart`, { model: row.model }), `${row.model} is being restarted.`);
  }

  async unload(row, force = false) {
    if (row.pinned || row.running || force) {
      const ended = force ? "Requests under way are cut off." : row.running ? "Requests under way are finished first." : "Voice turns may depend on it.";
      if (!(await this.app.confirm.ask(`Unload ${row.model}?`, `${row.pinned ? "It is pinned. " : ""}${ended}`, "Unload"))) return;
    }
    await this.app.act(() => post(`/admin/api/slots/${row.slot}/unload`, { force, model: row.model }), `${row.model} is being unloaded.`);
  }
}
