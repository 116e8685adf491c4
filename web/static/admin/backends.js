// The servers that may answer, and who is asked when a request names none.

import { el, figure, Keyed, name, rename, say } from "./elements.js";
import { count, seconds, told } from "./format.js";
import { RoutingForm } from "./routing.js";
import { get } from "./server.js";

class Backend {
  constructor() {
    this.title = name("", "bdi.name.strong");
    this.mark = el("span.dot", { "aria-hidden": "true" });
    this.state = el("span.state-text", { dir: "auto" });
    this.type = el("span.tag");
    this.first = el("span.tag.on", {}, "asked first");
    this.address = name("", "bdi.name");
    this.figures = { latency: figure("Recent first token"), running: figure("Running"), breaker: figure("Breaker"), priority: figure("Priority") };
    this.problem = el("p.problem", { dir: "auto" });
    this.models = el("ul.model-names");
    this.summary = el("summary");
    this.details = el("details", {}, this.summary, this.models);
    const where = el("div.figure.wide-figure", {}, el("dt", {}, "Address"), el("dd", {}, this.address));
    this.where = where;
    this.element = el(
      "li.row.backend",
      {},
      el("div.row-title", {}, el("span.titles", {}, this.title, el("span.small.state-line", {}, this.mark, this.state)), el("span.tags", {}, this.first, this.type)),
      el("dl.figures", {}, where, ...Object.values(this.figures).map((one) => one.element)),
      this.problem,
      this.details,
    );
  }

  show(row) {
    rename(this.title, row.name);
    say(this.type, row.type === "slot" && !row.base_url ? "our own slots" : row.type);
    this.first.hidden = !row.first;
    const [words, kind] = health(row);
    say(this.state, words);
    this.mark.className = `dot ${kind}`;
    this.where.hidden = !row.base_url;
    rename(this.address, `${row.base_url}${row.has_key ? " (with a key)" : ""}`);
    this.figures.latency.show(row.latency_s === null || row.latency_s === undefined ? "not measured" : seconds(row.latency_s));
    this.figures.running.show(count(row.running ?? 0));
    this.figures.breaker.show(breaker(row));
    this.figures.breaker.element.classList.toggle("bad", row.breaker === "open");
    this.figures.priority.show(String(row.priority ?? 0));
    for (const [key, one] of Object.entries(this.figures)) one.element.hidden = !row.enabled || (key === "priority" && !row.priority);
    this.problem.hidden = !row.problem;
    if (row.problem) say(this.problem, told(row.problem));
    this.showModels(row);
  }

  showModels({ models = [], models_total: total = 0 }) {
    this.details.hidden = !total;
    say(this.summary, total === 1 ? "1 model" : `${count(total)} models`);
    const key = models.map((model) => model.id).join("\n");
    if (key === this.shownModels) return;
    this.shownModels = key;
    this.models.replaceChildren(
      ...models.map((model) => el("li", {}, name(model.id), model.context ? el("span.small", {}, ` ${count(model.context)} tokens`) : null)),
      ...(total > models.length ? [el("li.small", {}, `and ${count(total - models.length)} more`)] : []),
    );
  }
}

function health({ enabled, healthy }) {
  if (!enabled) return ["turned off (enabled = false)", ""];
  if (healthy === null) return ["not checked yet", ""];
  return healthy ? ["healthy", "good"] : ["does not answer", "bad"];
}

function breaker({ breaker: state, retry_in_s: waits, cooling, failures, left_alone: alone = [] }) {
  if (state === "closed" && alone.length) return `closed, but for ${alone.map((one) => one.model || "its model").join(", ")}`;
  if (state === "closed") return failures ? `closed, ${failures} failed in a row` : "closed";
  const why = cooling ? "asked for a pause" : `${failures} failed in a row`;
  return state === "open" ? `open for ${Math.ceil(waits)} s, ${why}` : "one request tries";
}

export class Backends {
  constructor(section, app) {
    this.list = el("ul.rows.backends");
    this.keyed = new Keyed(this.list, () => new Backend());
    this.form = new RoutingForm(app);
    section.append(this.form.element, el("h3.list-title", {}, "Backends"), this.list);
    section.append(el("p.small", {}, "Backends are configured under [[backends]] in parley.toml or with ", el("code", {}, "parley add-server"), ". Restart the server after changing them."));
  }

  async load() {
    const [{ backends }, routing] = await Promise.all([get("/admin/api/backends"), get("/admin/api/routing")]);
    return { backends, routing };
  }

  show({ backends, routing }) {
    const first = routing.asked[0]?.backend;
    this.keyed.show(backends.map((row) => ({ ...row, first: row.name === first })), (row) => row.name);
    this.form.show(backends, routing);
  }
}
