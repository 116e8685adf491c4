// One answer on the page: its text as it is written, what of it was heard, where it was cut off. Knows no network.

import { blocks } from "./markdown.js";
import { OUTPUT_RATE } from "./speaker.js";

const LETTER_S = 0.065; // a letter's share of speech, until the samples say better
const LETTER = /[\p{L}\p{N}]/u;

/** How many letters and digits a text has: what takes time to say. */
function letters(text) {
  let count = 0;
  for (const char of text) if (LETTER.test(char)) count++;
  return count;
}

/** Index in `text` behind the word in which its `count`th letter stands, and the space after it. */
function behind(text, count) {
  if (count <= 0) return 0;
  let left = count;
  let at = 0;
  for (const char of text) {
    at += char.length;
    if (LETTER.test(char) && --left === 0) break;
  }
  return pastSpace(text, at + text.slice(at).search(/\s|$/));
}

function pastSpace(text, at) {
  return at + text.slice(at).search(/\S|$/);
}

/** The server counts characters; a string here has two units for many of them. */
function units(text, characters) {
  let at = 0;
  for (const char of text) {
    if (characters-- <= 0) break;
    at += char.length;
  }
  return at;
}

export class Reply {
  constructor(id) {
    this.id = id;
    this.text = "";
    this.left = 0; // characters before the text that are not shown: white space
    this.clauses = []; // {letters, to, start, samples} in the order they are spoken; `to`: characters over with it
    this.received = 0; // samples
    this.again = null; // where a clause began that is announced again
    this.complete = false; // no more samples will come
    this.heardAt = 0; // index into the text
    this.over = false;
    this.note = null; // what stands behind it
    this.drawn = []; // {key, element} of the blocks that are on the page
    this.element = document.createElement("div");
    this.element.className = "reply";
  }

  write(delta) {
    if (this.text === "") {
      this.text = delta.trimStart();
      this.left += [...delta].length - [...this.text].length;
    } else this.text += delta;
    this.draw();
  }

  /** A clause begins: the samples that come belong to it. `to`: so many characters are over with it. */
  clause(text, to) {
    this.clauses.push({ letters: letters(text), to, start: this.again ?? this.received, samples: 0 });
    this.again = null;
  }

  /** Its audio comes again from this sample on; the clause in which that lies is announced once more. */
  rewind(samples) {
    this.received = samples;
    this.clauses = this.clauses.filter(({ start }) => start === 0 || start < samples);
    const last = this.clauses.at(-1);
    if (last && samples < last.start + last.samples) this.clauses.pop();
    this.again = last && last !== this.clauses.at(-1) ? last.start : null;
  }

  audio(bytes) {
    this.received += bytes / 2;
    const clause = this.clauses.at(-1);
    if (clause) clause.samples = this.received - clause.start;
  }

  end() {
    this.complete = true;
  }

  /** Played up to here. The clause that is being received may still grow, so its share is a guess. */
  played(ms) {
    if (this.over) return;
    const position = (ms / 1000) * OUTPUT_RATE;
    let heard = 0;
    for (const clause of this.clauses) {
      const to = units(this.text, clause.to - this.left);
      const whole = this.complete || clause !== this.clauses.at(-1);
      if (whole && position >= clause.start + clause.samples) {
        heard = to;
        continue;
      }
      const guess = whole ? 0 : clause.letters * LETTER_S * OUTPUT_RATE;
      const spoken = Math.max(1, clause.samples, guess);
      const written = this.text.slice(heard, to);
      const share = Math.min(1, Math.max(0, position - clause.start) / spoken);
      heard += behind(written, Math.floor(letters(written) * share));
      break;
    }
    this.heardAt = Math.max(this.heardAt, pastSpace(this.text, heard));
    this.draw();
  }

  /** The server's word on what was heard is the last one: `heard` is the beginning of what was written. */
  finish(written, heard, interrupted) {
    this.over = true;
    if (written) this.text = written;
    const cut = heard && this.text.includes(heard) ? this.text.indexOf(heard) + heard.length : 0;
    this.heardAt = interrupted ? pastSpace(this.text, cut) : this.text.length;
    if (interrupted) {
      this.element.classList.add("cut");
      this.note = element("span", "end", this.heardAt > 0 ? "interrupted" : "interrupted before it was heard");
    }
    this.draw();
  }

  /** What has not changed stays as it is: somebody may be reading or copying it. */
  draw() {
    const found = blocks(this.text);
    found.forEach((block, index) => {
      const heard = Math.min(Math.max(this.heardAt, block.start), block.end);
      const key = `${block.start} ${heard} ${this.text.slice(block.start, block.end)}`;
      const before = this.drawn[index];
      if (before?.key === key) return;
      const drawn = this.block(block);
      if (before) before.element.replaceWith(drawn);
      else this.element.append(drawn);
      this.drawn[index] = { key, element: drawn };
    });
    for (const { element } of this.drawn.splice(found.length)) element.remove();
    const last = this.drawn.at(-1)?.element;
    if (this.note) (last?.tagName === "P" ? last : this.element).append(this.note);
  }

  block({ kind, items }) {
    const made = document.createElement(kind === "heading" ? "p" : kind);
    if (kind === "hr") return made;
    if (kind === "pre") made.tabIndex = 0; // long lines are scrolled, also with the keyboard
    for (const item of items) {
      const inside = kind === "ul" || kind === "ol" ? made.appendChild(document.createElement("li")) : made;
      if (kind === "ol") inside.value = item.number;
      if (kind !== "pre") inside.dir = "auto";
      const tags = kind === "heading" ? ["strong"] : [];
      inside.append(...item.pieces.map((piece) => this.piece({ ...piece, tags: [...tags, ...piece.tags] })));
    }
    return made;
  }

  piece({ start, end, tags, href }) {
    const at = Math.min(Math.max(this.heardAt, start), end);
    const made = document.createDocumentFragment();
    let inside = made;
    for (const tag of tags) inside = inside.appendChild(document.createElement(tag));
    if (href) Object.assign(inside, { href, target: "_blank", rel: "noopener noreferrer nofollow" });
    inside.append(this.text.slice(start, at));
    if (at < end) inside.append(element("span", "unheard", this.text.slice(at, end)));
    return made;
  }
}

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}
