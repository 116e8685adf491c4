// Where the time went in the last turns: one bar for each, all on one scale.

import { NAMES, stages } from "/static/live/latency.js";
import { el, Keyed, name, rename, say } from "./elements.js";
import { count, percent, seconds } from "./format.js";
import { get } from "./server.js";

const SHOWN = 50;
const ms = (value) => (Number.isFinite(value) ? seconds(value / 1000) : "–");

class Turn {
  constructor() {
    this.when = el("time.small");
    this.session = name("", "bdi.name.small");
    this.total = el("span.turn-total");
    this.note = el("span.small.turn-note");
    this.bar = el("div.turn-bar", { "aria-hidden": "true" });
    this.words = el("span.visually-hidden");
    this.element = el("li.turn-row", {}, el("div.turn-head", {}, this.total, this.note, this.session, this.when), this.bar, this.words);
  }

  show({ turn, scale }) {
    const key = `${turn.ended_at} ${scale}`; // a server that was started again counts from 1 again
    if (key === this.shown) return;
    this.shown = key;
    const parts = stages(turn.latency_ms);
    const at = new Date(turn.ended_at);
    say(this.when, at.toLocaleTimeString());
    this.when.dateTime = turn.ended_at;
    rename(this.session, turn.session);
    say(this.total, turn.first_sound_ms === null ? "no sound" : ms(turn.first_sound_ms));
    say(this.note, outcome(turn));
    this.note.classList.toggle("bad-text", turn.status === "failed");
    this.bar.replaceChildren(
      ...parts.map((part) => {
        const piece = el("span", { class: `stage-${part.name}`, title: `${NAMES[part.name]}: ${ms(part.ms)}` });
        piece.style.width = `${Math.min(100, (part.ms / scale) * 100)}%`;
        return piece;
      }),
    );
    say(this.words, parts.filter((part) => part.ms >= 0.5).map((part) => `${NAMES[part.name]} ${ms(part.ms)}`).join(", "));
  }
}

function outcome({ status, reason, interrupted, latency_ms: reached, tokens_out: written }) {
  const words = [];
  if (!("transcript" in reached)) words.push("typed");
  if (interrupted) words.push("interrupted");
  else if (status !== "completed") words.push(`${status}${reason ? `: ${reason.replaceAll("_", " ")}` : ""}`);
  if (written) words.push(`${count(written)} tokens`);
  return words.join(" · ");
}

export class Turns {
  constructor(section) {
    this.cards = Object.fromEntries(
      [["median", "To the first sound, median"], ["p95", "95 of 100 turns within"], ["turns", "Turns"], ["interrupted", "Interrupted"]].map(([key, label]) => {
        const value = el("p.value");
        const small = el("p.small");
        return [key, { value, small, element: el("article.card", {}, el("h3", {}, label), value, small) }];
      }),
    );
    this.empty = el("p.empty", {}, "Nobody has spoken since the server began. Every turn on the live page, or of another voice client, shows here.");
    this.legend = el("ul.legend", { "aria-label": "What the time was spent on" }, ...Object.entries(NAMES).map(([stage, label]) => el("li", {}, el("i", { class: `stage-${stage}` }), label)));
    this.rows = el("tbody");
    this.table = el(
      "table.stages",
      {},
      el("caption.visually-hidden", {}, "From the user's last word to each stage"),
      el("thead", {}, el("tr", {}, ...["reached after the last word", "median", "p95", "turns"].map((title) => el("th", { scope: "col" }, title)))),
      this.rows,
    );
    this.list = el("ol.turn-list", { "aria-label": "The last turns, the latest first" });
    this.keyed = new Keyed(this.list, () => new Turn());
    this.body = el("div.stacked", {}, el("div.cards", {}, ...Object.values(this.cards).map((card) => card.element)), el("div.card.wide", {}, el("h3", {}, "From the user's last word to the first sound"), this.legend, this.list), el("div.card.wide", {}, el("h3", {}, "Stages"), this.table));
    section.append(this.empty, this.body);
  }

  async load() {
    return get(`/admin/api/turns?limit=${SHOWN}`);
  }

  show({ turns, stages: spreads, total, kept }) {
    this.empty.hidden = total > 0;
    this.body.hidden = total === 0;
    if (!total) return;
    const sound = spreads.first_sound;
    this.tell("median", ms(sound?.median_ms), `of ${count(sound?.turns ?? 0)} turns that sounded`);
    this.tell("p95", ms(sound?.p95_ms), "to the first sound");
    this.tell("turns", count(total), total > kept ? `since the start; the last ${kept} are kept` : "since the start");
    const cut = turns.filter((turn) => turn.interrupted).length;
    this.tell("interrupted", percent(cut / Math.max(1, turns.length)), `${cut} of the last ${turns.length}`);
    const totals = turns.map((turn) => turn.first_sound_ms ?? 0);
    const scale = Math.max(200, ...totals);
    this.keyed.show(turns.map((turn) => ({ turn, scale })), ({ turn }) => turn.number);
    this.showTable(spreads);
  }

  tell(key, value, small) {
    say(this.cards[key].value, value);
    say(this.cards[key].small, small);
  }

  showTable(spreads) {
    const key = JSON.stringify(spreads);
    if (key === this.shown) return;
    this.shown = key;
    const known = Object.entries(spreads).filter(([stage]) => stage !== "first_sound").sort((a, b) => a[1].median_ms - b[1].median_ms);
    this.rows.replaceChildren(
      ...known.map(([stage, spread]) => el("tr", {}, el("th", { scope: "row" }, stage.replaceAll("_", " ")), el("td", {}, ms(spread.median_ms)), el("td", {}, ms(spread.p95_ms)), el("td", {}, count(spread.turns)))),
    );
  }
}
