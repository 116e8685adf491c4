// One answer on the page: its text as it is written, what of it was heard, where it was cut off. Knows no network.

import { OUTPUT_RATE } from "./speaker.js";

const LETTER_S = 0.065; // a letter's share of speech, until the samples say better
const LETTER = /[\p{L}\p{N}]/u;

/** How many letters and digits a text has: what the written and the spoken form of a clause have in common. */
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

export class Reply {
  constructor(id) {
    this.id = id;
    this.text = "";
    this.clauses = []; // {letters, start, samples} in the order they are spoken
    this.received = 0; // samples
    this.again = null; // where a clause began that is announced again
    this.complete = false; // no more samples will come
    this.heardAt = 0; // index into the text
    this.over = false;
    this.element = document.createElement("p");
    this.element.className = "reply";
    this.heard = document.createElement("span");
    this.unheard = document.createElement("span");
    this.unheard.className = "unheard";
    this.element.append(this.heard, this.unheard);
  }

  write(delta) {
    this.text = this.text === "" ? delta.trimStart() : this.text + delta;
    this.draw();
  }

  /** A clause begins: the samples that come belong to it. */
  clause(text) {
    this.clauses.push({ letters: letters(text), start: this.again ?? this.received, samples: 0 });
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
    let count = 0;
    for (const clause of this.clauses) {
      const whole = this.complete || clause !== this.clauses.at(-1);
      if (whole && position >= clause.start + clause.samples) {
        count += clause.letters;
      } else {
        const guess = whole ? 0 : clause.letters * LETTER_S * OUTPUT_RATE;
        const spoken = Math.max(1, clause.samples, guess);
        count += clause.letters * Math.min(1, Math.max(0, position - clause.start) / spoken);
        break;
      }
    }
    this.heardAt = Math.max(this.heardAt, behind(this.text, Math.floor(count)));
    this.draw();
  }

  /** The server's word on what was heard is the last one: `heard` is the beginning of what was written. */
  finish(written, heard, interrupted) {
    this.over = true;
    if (written) this.text = written;
    const cut = heard && this.text.includes(heard) ? this.text.indexOf(heard) + heard.length : 0;
    this.heardAt = interrupted ? pastSpace(this.text, cut) : this.text.length;
    this.draw();
    if (!interrupted) return;
    this.element.classList.add("cut");
    const end = document.createElement("span");
    end.className = "end";
    end.textContent = this.heardAt > 0 ? "interrupted" : "interrupted before it was heard";
    this.element.append(end);
  }

  draw() {
    this.heard.textContent = this.text.slice(0, this.heardAt);
    this.unheard.textContent = this.text.slice(this.heardAt);
  }
}
