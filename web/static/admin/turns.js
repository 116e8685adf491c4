// Where the time went in the last turns: one bar for each, all on one scale.

import { NAMES, stages } from "/static/live/latency.js";
import { el, Keyed, name, rename, say } from "./elements.js";
import { count, percent, seconds } from "./format.js";
import { Bars } from "./pictures.js";
import { get } from "./server.js";

const SHOWN = 50;
const BARS = 40;
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
  if (written) words.push(`${count(written)} ${written === 1 ? "token" : "tokens"}`);
  return words.join(" · ");
}

export class Turns {
  constructor(section) {
    this.cards = Object.fromEntries(
      [["median", "Time to the first sound"], ["p95", "95 % of turns within"], ["turns", "Turns"], ["interrupted", "Interrupted"]].map(([key, label]) => {
        const value = el("p.value");
        const small = el("p.small");
        const bars = key === "median" ? new Bars() : null;
        return [key, { value, small, bars, element: el("article.card", {}, el("h3", {}, label), value, small, bars?.element) }];
      }),
    );
    this.empty = el("p.empty", {}, "Nobody has spoken since the server started. Turns from the live page and other voice clients appear here.");
    this.legend = el("ul.legend", { "aria-label": "What the time was spent on" }, ...Object.entries(NAMES).map(([stage, label]) => el("li", {}, el("i", { class: `stage-${stage}` }), label)));
    this.rows = el("tbody");
    this.table = el(
      "table.stages",
      {},
      el("caption.visually-hidden", {}, "From the user's last word to each stage"),
      el("thead", {}, el("tr", {}, ...["time after the last word", "median", "p95", "turns"].map((title) => el("th", { scope: "col" }, title)), el("td"))),
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
    this.tell("median", ms(sound?.median_ms), `median of ${count(sound?.turns ?? 0)} spoken answers`);
    this.tell("p95", ms(sound?.p95_ms), "to the first sound");
    this.tell("turns", count(total), total > kept ? `since the server started; the last ${kept} are kept` : "since the server started");
    const cut = turns.filter((turn) => turn.interrupted).length;
    this.tell("interrupted", percent(cut / Math.max(1, turns.length)), `${cut} of the last ${turns.length}`);
    const totals = turns.map((turn) => turn.first_sound_ms ?? 0);
    const scale = Math.max(200, ...totals);
    const newest = turns.slice(0, BARS).map((turn) => turn.first_sound_ms).reverse();
    this.cards.median.bars.show(newest, `Time to the first sound of the last ${newest.length} turns`);
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
    // How long a reply goes on says nothing of how soon it begins: its end is in the figures only.
    const longest = Math.max(1, ...known.filter(([stage]) => stage in NAMES).map(([, spread]) => spread.p95_ms));
    this.rows.replaceChildren(
      ...known.map(([stage, spread]) => el("tr", {}, el("th", { scope: "row" }, stage.replaceAll("_", " ")), el("td", {}, ms(spread.median_ms)), el("td", {}, ms(spread.p95_ms)), el("td", {}, count(spread.turns)), el("td.reach", { "aria-hidden": "true" }, stage in NAMES ? reach(spread, longest) : null))),
    );
  }
}

/** When a stage was reached, as a bar: full up to the median, faint up to the 95th percentile. */
function reach(spread, longest) {
  const bar = el("div.reach-bar", {}, el("span.p95"), el("span.median"));
  const width = (value) => `${Math.min(100, (Math.max(0, value) / longest) * 100)}%`;
  bar.children[0].style.width = width(spread.p95_ms);
  bar.children[1].style.width = width(spread.median_ms);
  return bar;
}
