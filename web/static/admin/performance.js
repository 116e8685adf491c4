// How fast every slot and backend answers: figures over time, and one row for each backend and model.

import { el, figure, Keyed, name, rename, say } from "./elements.js";
import { bytes, count, percent, rate, seconds, shorten } from "./format.js";
import { History } from "./history.js";
import { Bars, Line } from "./pictures.js";
import { get } from "./server.js";

const LATEST = 40;

const sum = (rows, key) => rows.reduce((total, row) => total + (row[key] ?? 0), 0);

function middle(values) {
  const sorted = values.filter((value) => value > 0).sort((a, b) => a - b);
  return sorted.length ? sorted[Math.floor(sorted.length / 2)] : NaN;
}

/** A large figure with a picture below it. */
class Card {
  constructor(label, picture) {
    this.value = el("p.value");
    this.small = el("p.small");
    this.picture = picture;
    this.element = el("article.card", {}, el("h3", {}, label), this.value, this.small, picture.element);
  }

  show(value, small, values, words, least) {
    say(this.value, value);
    say(this.small, small);
    this.picture.show(values, words, least);
  }
}

class Row {
  constructor() {
    this.title = name("", "bdi.name.strong");
    this.where = name("", "bdi.name.small");
    this.speeds = new Bars();
    this.firsts = new Bars();
    this.figures = {
      speed: figure("Tokens per second"),
      first: figure("First token"),
      queue: figure("Time in the queue"),
      requests: figure("Requests"),
      errors: figure("Errors"),
      memory: figure("Memory"),
    };
    const { speed, first, ...others } = this.figures;
    this.element = el(
      "li.row.performance-row",
      {},
      el("div.row-title.beside", {}, this.title, this.where),
      el("dl.figures", {}, withPicture(speed, this.speeds), withPicture(first, this.firsts), ...Object.values(others).map((one) => one.element)),
    );
  }

  show(row) {
    const { tokens_per_s: speed, time_to_first_token_s: first, queue_wait_s: queue, latest = [] } = row;
    rename(this.title, row.model);
    rename(this.where, row.slot ? `slot ${row.slot}` : `backend ${row.backend}`);
    const both = (spread, form) => (spread ? `${form(spread.median)} · p95 ${form(spread.p95)}` : "–");
    this.figures.speed.show(both(speed, rate));
    this.figures.first.show(both(first, seconds));
    this.figures.queue.show(both(queue, seconds));
    this.figures.requests.show(`${count(row.requests)}${row.running ? ` · ${row.running} running` : ""}`);
    this.figures.errors.show(row.errors ? `${count(row.errors)}${row.last_error ? `, last: ${row.last_error.replaceAll("_", " ")}` : ""}` : "none");
    this.figures.errors.element.classList.toggle("bad", row.errors > 0);
    this.figures.memory.show(row.memory_bytes ? bytes(row.memory_bytes) : "elsewhere");
    this.figures.memory.element.hidden = !row.slot;
    this.speeds.show(latest.map((one) => one[2]), `Tokens per second of the last ${latest.length} requests: ${both(speed, rate)}`);
    this.firsts.show(latest.map((one) => one[0]), `Time to the first token of the last ${latest.length} requests: ${both(first, seconds)}`);
  }
}

function withPicture({ element }, picture) {
  element.classList.add("with-picture");
  element.append(el("dd", {}, picture.element));
  return element;
}

export class Performance {
  constructor(section) {
    this.history = new History();
    this.cards = {
      tokens: new Card("Tokens written", new Line()),
      first: new Card("Time to the first token", new Bars()),
      requests: new Card("Requests", new Line()),
      errors: new Card("Errors", new Line()),
      memory: new Card("Memory of this machine", new Line()),
    };
    this.rows = el("ul.rows");
    this.keyed = new Keyed(this.rows, () => new Row());
    this.empty = el("p.empty", {}, "Nothing has been asked yet. Talk on the live page or send a request, and the measurements appear here.");
    section.append(
      el("div.cards", {}, ...Object.values(this.cards).map((card) => card.element)),
      el("h3.list-title", {}, "By slot and backend"),
      el("p.small", {}, "Counts are kept over restarts. Medians are of the latest 256 requests; the bars are the last 40, the newest at the right. A gap is a reply that was too short to tell, or came whole."),
      this.empty,
      this.rows,
    );
  }

  async load() {
    return get(`/v1/stats/performance?latest=${LATEST}`);
  }

  /** Called at every poll, seen or not: the pictures over time have no holes then. */
  show({ backends, memory }) {
    const taken = memory.total_bytes - memory.available_bytes;
    const running = sum(backends, "running");
    this.history.add(
      performance.now(),
      { running, taken },
      { tokens: sum(backends, "completion_tokens"), errors: sum(backends, "errors"), requests: sum(backends, "requests") },
    );
    this.showCards(backends, memory, running, taken);
    this.empty.hidden = backends.length > 0;
    this.keyed.show(backends, (row) => JSON.stringify([row.backend, row.model]));
  }

  showCards(backends, memory, running, taken) {
    const { tokens, first, requests, errors, memory: machine } = this.cards;
    const { history } = this;
    const span = history.spanS < 5 ? "since this page was opened" : `in the last ${seconds(history.spanS)}`;
    const speeds = backends.flatMap((row) => (row.latest ?? []).map((one) => one[2]));
    const newest = backends.flatMap((row) => (row.latest ?? []).map((one) => one[0])).slice(0, LATEST);
    const busiest = backends[0];
    const written = history.of("tokens");
    tokens.show(count(sum(backends, "completion_tokens")), `${rate(middle(speeds))}/s in one reply`, written, `Tokens written per second ${span}: ${rate(Math.max(0, ...written))} at most`);
    const firsts = (busiest?.latest ?? []).map((one) => one[0]);
    first.show(seconds(middle(newest)), busiest ? `bars: ${shorten(busiest.model, 28)}` : "nothing measured yet", firsts, `Time to the first token of the last ${firsts.length} requests`);
    requests.show(count(sum(backends, "requests")), `${running} running`, history.of("running"), `Requests running at a time ${span}: ${Math.max(0, ...history.of("running"))} at most`);
    const failed = sum(backends, "errors");
    errors.show(count(failed), failed ? `of ${count(sum(backends, "requests"))} requests` : "none so far", history.of("errors"), `Errors ${span}`, 0.2);
    errors.element.classList.toggle("bad", failed > 0);
    machine.show(bytes(taken), `of ${bytes(memory.total_bytes)}, ${percent(taken / Math.max(1, memory.total_bytes))}`, history.of("taken"), `Memory in use ${span}: ${bytes(taken)} now`, memory.total_bytes);
  }
}
