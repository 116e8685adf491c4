// Models from elsewhere: asking for one, watching it come, and what suits this machine.

import { Catalogue } from "./catalogue.js";
import { button, el, Keyed, name, rename, say } from "./elements.js";
import { bytes, percent, seconds } from "./format.js";
import { Progress, Shares } from "./pictures.js";
import { get, post, remove } from "./server.js";

const DOWNLOADS = "/admin/api/models/download";
const SAYS = { queued: "waiting for other downloads", running: "getting the list of files", done: "installed", failed: "failed", cancelled: "cancelled; trying again continues from here" };
const MOVING = new Set(["queued", "running"]);

class Job {
  constructor(row, actions) {
    this.title = name("", "bdi.name.strong");
    this.asked = name("", "bdi.name.small");
    this.mark = el("span.dot", { "aria-hidden": "true" });
    this.state = el("span");
    this.progress = new Progress(`Download of ${row.name.slice(0, 100)}`);
    this.problem = el("div.problem-box", { hidden: true });
    this.after = el("p.small", { hidden: true }, "A language model can be ", el("a", { href: "#slots" }, "loaded into a slot"), " now; recognisers and voices are used after a restart.");
    this.cancel = button("Cancel", () => actions.cancel(this.row), "button.small-button", { "aria-label": `Cancel ${row.name.slice(0, 100)}` });
    this.again = button("Try again", () => actions.start(this.row.model), "button.small-button", { "aria-label": `Try ${row.name.slice(0, 100)} again` });
    this.element = el(
      "li.row.job",
      {},
      el("div.row-title", {}, el("span.titles", {}, this.title, this.asked), el("div.actions.push", {}, this.cancel, this.again)),
      this.progress.element,
      el("p.small.state-line", {}, this.mark, this.state),
      this.problem,
      this.after,
    );
  }

  show(row) {
    this.row = row;
    const { status, error } = row;
    this.element.dataset.status = status;
    rename(this.title, row.name);
    rename(this.asked, row.model === row.name ? "" : row.model);
    this.asked.hidden = row.model === row.name;
    const moving = MOVING.has(status);
    this.progress.element.hidden = !moving && status !== "done" && !row.received_bytes;
    const words = this.words(row);
    this.progress.show(status === "done" ? 1 : (row.progress ?? (moving ? NaN : 0)), words);
    say(this.state, words);
    this.mark.className = `dot ${status === "done" ? "good" : status === "failed" ? "bad" : ""}`;
    this.problem.hidden = !error;
    if (error) {
      const lines = [error.message, error.hint].filter(Boolean);
      if (this.problem.textContent !== lines.join("")) this.problem.replaceChildren(...lines.map((line) => el("p", { dir: "auto" }, line)));
    }
    this.after.hidden = status !== "done";
    this.cancel.hidden = !moving;
    this.again.hidden = !["failed", "cancelled"].includes(status);
  }

  words({ status, progress, received_bytes: received, total_bytes: total, bytes_per_s: speed }) {
    const size = total ? `${bytes(received)} of ${bytes(total)}` : bytes(received);
    if (status !== "running") return [SAYS[status] ?? status, received ? size : ""].filter(Boolean).join(" · ");
    if (!received) return SAYS.running;
    const left = total && speed ? `${seconds(Math.max(1, (total - received) / speed))} left` : "";
    return [progress === null ? "" : percent(progress), size, speed ? `${bytes(speed)}/s` : "", left].filter(Boolean).join(" · ");
  }
}

export class Downloads {
  constructor(section, app) {
    this.app = app;
    this.rows = [];
    this.streams = new Map(); // job -> EventSource, of those that run: two at most, the server has no more at once
    this.asked = el("input", { name: "model", required: true, maxlength: "2000", list: "catalogue-names", placeholder: "owner/repo, owner/repo/file, https://… or a name", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
    this.disk = new Shares();
    this.list = el("ul.rows");
    this.keyed = new Keyed(this.list, (row) => new Job(row, { cancel: (job) => this.cancel(job), start: (model) => this.start(model) }));
    this.catalogue = new Catalogue((model) => this.start(model), (model) => this.find(model));
    section.append(
      el(
        "form.card.wide.stacked",
        { onsubmit: (event) => this.submit(event) },
        el("label.field", {}, el("span", {}, "A model on the Hugging Face hub, the address of a file, or a name from the catalogue"), this.asked),
        el("div.actions", {}, el("button.filled", { type: "submit" }, "Download"), button("Search the hub", () => this.catalogue.search(this.asked.value), "button.quiet")),
        this.catalogue.names,
        this.catalogue.found,
        this.disk.element,
      ),
      this.list,
      this.catalogue.element,
    );
    document.addEventListener("visibilitychange", () => document.hidden && this.left());
  }

  async load() {
    const [downloads] = await Promise.all([get(DOWNLOADS), this.catalogue.load()]);
    return downloads;
  }

  get everyMs() {
    return this.rows.some((row) => MOVING.has(row.status)) ? 1000 : 2000;
  }

  show({ jobs, disk }) {
    const done = jobs.filter((row) => row.status === "done").length;
    if (done !== this.done) this.catalogue.stale();
    this.done = done;
    this.rows = jobs;
    this.keyed.show(jobs, (row) => row.job);
    this.catalogue.show(jobs);
    if (disk) {
      const used = disk.total_bytes - disk.free_bytes;
      this.disk.show(
        [
          { name: "used on this disk", after: bytes(used), value: used, kind: "part-other" },
          { name: "free", after: bytes(disk.free_bytes), value: disk.free_bytes, kind: "part-free" },
        ],
        disk.total_bytes,
      );
    }
    this.watch();
  }

  /** Between two polls the server tells of every change of what runs. */
  watch() {
    const running = new Set(this.rows.filter((row) => row.status === "running").map((row) => row.job));
    for (const [job, stream] of this.streams) {
      if (running.has(job)) continue;
      stream.close();
      this.streams.delete(job);
    }
    for (const job of running) {
      if (this.streams.has(job) || document.hidden) continue;
      const stream = new EventSource(`${DOWNLOADS}/${job}`);
      this.streams.set(job, stream);
      stream.onmessage = ({ data }) => {
        const row = JSON.parse(data);
        this.keyed.views.get(job)?.show(row);
        if (!MOVING.has(row.status)) this.close(job);
      };
      stream.onerror = () => this.close(job); // the next poll opens another one, if it still runs
    }
  }

  close(job) {
    this.streams.get(job)?.close();
    this.streams.delete(job);
  }

  /** Another section is seen. */
  left() {
    for (const job of [...this.streams.keys()]) this.close(job);
  }

  find(model) {
    return this.rows.find((row) => row.model === model && MOVING.has(row.status));
  }

  async submit(event) {
    event.preventDefault();
    if (await this.start(this.asked.value.trim())) this.asked.value = "";
  }

  start(model) {
    return this.app.act(() => post(DOWNLOADS, { model }), `${model.slice(0, 100)} is being downloaded.`);
  }

  cancel(row) {
    return this.app.act(() => remove(`${DOWNLOADS}/${row.job}`), `${row.name.slice(0, 100)} is cancelled. What came is kept for the next try.`);
  }
}
