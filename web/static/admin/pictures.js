// Small pictures of figures: a line over time, a bar for each request, a bar of shares. All of them have words, too.

import { el, rename, say, svg } from "./elements.js";

const WIDTH = 160;
const HEIGHT = 40;

function frame(kind) {
  return svg("svg", { class: `picture ${kind}`, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
}

const FEWEST_MOMENTS = 30;
const FEWEST_BARS = 12;
const MOST_OVER_MIDDLE = 4;

/** Values over time as a filled line; with few of them it begins at the right. */
export class Line {
  constructor() {
    this.area = svg("path", { class: "area" });
    this.line = svg("path", { class: "line", "vector-effect": "non-scaling-stroke" });
    this.element = frame("over-time");
    this.element.append(this.area, this.line);
  }

  /** `words`: what somebody is told who does not see it. `least`: the smallest value that fills the height. */
  show(values, words, least = 1) {
    const highest = Math.max(least, ...values);
    const step = WIDTH / (Math.max(FEWEST_MOMENTS, values.length) - 1);
    const first = WIDTH - (values.length - 1) * step;
    const points = values.map((value, index) => {
      const y = HEIGHT - 2 - (Math.max(0, value) / highest) * (HEIGHT - 6);
      return `${(first + index * step).toFixed(1)} ${y.toFixed(1)}`;
    });
    const path = points.length ? `M${points.join("L")}` : "";
    this.line.setAttribute("d", path);
    this.area.setAttribute("d", points.length > 1 ? `${path}L${WIDTH} ${HEIGHT}L${first.toFixed(1)} ${HEIGHT}Z` : "");
    this.element.setAttribute("aria-label", words);
  }
}

/** One bar for each of the last requests, the newest at the right. 0 or null: nothing to show of that one. */
export class Bars {
  constructor() {
    this.path = svg("path", { class: "bars" });
    this.element = frame("per-request");
    this.element.append(this.path);
  }

  show(values, words) {
    const known = values.filter((value) => value > 0).sort((a, b) => a - b);
    // One outlier must not make all others invisible: what is far above the middle is cut.
    const highest = Math.min(known.at(-1) ?? 1, MOST_OVER_MIDDLE * (known[known.length >> 1] ?? 1));
    const step = WIDTH / Math.max(FEWEST_BARS, values.length);
    const parts = values.map((value, index) => {
      if (!(value > 0)) return "";
      const x = WIDTH - (values.length - index) * step;
      const height = Math.max(1.5, Math.min(1, value / highest) * (HEIGHT - 2));
      return `M${x.toFixed(1)} ${HEIGHT}v${-height.toFixed(1)}h${(step * 0.7).toFixed(1)}v${height.toFixed(1)}z`;
    });
    this.path.setAttribute("d", parts.join(""));
    this.element.setAttribute("aria-label", words);
  }
}

/** How a whole is shared: [{before, name, after, value, kind}] of `total`, the name from elsewhere. The legend below it says the same in words. */
export class Shares {
  constructor() {
    this.bar = el("div.shares-bar", { "aria-hidden": "true" });
    this.legend = el("ul.legend");
    this.element = el("div.shares", {}, this.bar, this.legend);
  }

  show(parts, total) {
    const seen = parts.filter((part) => part.value > 0);
    while (this.bar.children.length > seen.length) this.bar.lastChild.remove();
    while (this.bar.children.length < seen.length) this.bar.append(el("span"));
    while (this.legend.children.length > seen.length) this.legend.lastChild.remove();
    while (this.legend.children.length < seen.length) this.legend.append(el("li", {}, el("i"), el("span"), el("bdi.name.one-line"), el("span")));
    seen.forEach((part, index) => {
      const piece = this.bar.children[index];
      piece.className = part.kind;
      piece.style.flexGrow = String(total > 0 ? part.value / total : 0);
      const [swatch, before, label, after] = this.legend.children[index].children;
      swatch.className = part.kind;
      say(before, part.before ?? "");
      rename(label, part.name);
      say(after, part.after);
    });
  }
}

/** A bar that fills: {element, show(share or null for "under way", words)}. */
export class Progress {
  constructor(label) {
    this.fill = el("span");
    this.element = el("div.progress", { role: "progressbar", "aria-label": label, "aria-valuemin": "0", "aria-valuemax": "100" }, this.fill);
  }

  show(share, words) {
    const known = Number.isFinite(share);
    this.element.classList.toggle("unknown", !known);
    this.fill.style.transform = known ? `scaleX(${Math.min(1, Math.max(0, share))})` : "";
    if (known) this.element.setAttribute("aria-valuenow", String(Math.round(share * 100)));
    else this.element.removeAttribute("aria-valuenow");
    this.element.setAttribute("aria-valuetext", words);
  }
}
