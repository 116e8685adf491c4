// The column of turns: what the user said, what was answered, notes in between.

import { latencyLine } from "./latency.js";
import { plain } from "./markdown.js";
import { Reply } from "./reply.js";

const MOST_TURNS = 200;

export class Conversation {
  constructor(document_) {
    this.turns = document_.getElementById("turns");
    this.scroll = document_.getElementById("scroll");
    this.welcome = document_.getElementById("welcome");
    this.spoken = document_.getElementById("spoken");
    this.quiet = false;
    this.turn = null; // the newest one's element
    this.you = null; // what the user is saying just now
    this.replies = new Map();
    // A phone that is turned, a keyboard that opens: who was at the end stays there.
    new ResizeObserver(() => this.atEnd && this.toEnd()).observe(this.scroll);
    this.atEnd = true;
    this.scroll.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = this.scroll;
      this.atEnd = scrollHeight - scrollTop - clientHeight < 60;
    });
  }

  /** Replies are counted anew with every connection. */
  reconnected() {
    for (const reply of this.replies.values()) if (!reply.over) reply.finish("", reply.text.slice(0, reply.heardAt), true);
    this.replies.clear();
    this.drop();
  }

  // ---- the user ----------------------------------------------------------------------------------------------

  /** A `transcript` message. A stop word is told while it is being said, too, and more may still follow it. */
  transcript({ text, is_final: final, is_request: request }) {
    if (!final) this.partial(text);
    else if (request === false) this.stopped(text);
    else if (text) this.final(text);
    else this.drop();
  }

  partial(text) {
    if (!this.you) {
      this.open();
      this.you = element("p", "you partial");
      this.you.dir = "auto";
      this.turn.append(this.you);
    }
    this.you.textContent = text;
    this.follow();
  }

  final(text) {
    this.partial(text);
    this.you.classList.remove("partial");
    this.you = null;
    this.turn.append(waiting());
    this.announce(`You: ${text}`);
    this.follow();
  }

  /** A stop word: heard, obeyed, and neither answered nor part of the conversation. */
  stopped(text) {
    this.drop();
    this.note(`I heard “${text}”`);
    this.announce(`You: ${text}`);
  }

  /** What was being said led to nothing. */
  drop() {
    if (!this.you) return;
    this.you = null;
    const { turn } = this;
    this.turn = turnBefore(turn);
    turn.remove();
  }

  // ---- the answer --------------------------------------------------------------------------------------------

  reply(id) {
    let reply = this.replies.get(id);
    if (!reply) {
      reply = new Reply(id);
      this.replies.set(id, reply);
      if (this.replies.size > 20) this.replies.delete(this.replies.keys().next().value);
      // An answer belongs to the last turn that was said, not to the one that is being spoken over it.
      const turn = this.you ? turnBefore(this.turn) : this.turn;
      if (turn) {
        turn.querySelector(".waiting")?.remove();
        turn.append(reply.element);
      }
    }
    return reply;
  }

  write(id, delta) {
    if (delta) this.reply(id).write(delta);
    this.follow();
  }

  complete(message) {
    const reply = message.reply ? this.reply(message.reply) : null;
    reply?.finish(message.output_transcript, message.heard_transcript, message.interrupted);
    const turn = reply?.element.parentElement ?? this.turn;
    turn?.querySelector(".waiting")?.remove();
    const tools = [...new Set(message.tools_called ?? [])];
    if (tools.length) turn?.append(element("p", "tools", `used ${tools.join(", ")}`));
    const line = latencyLine(message.latency ?? {});
    if (line) turn?.append(line);
    if (reply) this.announce(`Parley: ${plain(message.interrupted ? message.heard_transcript : message.output_transcript)}`);
    this.follow();
  }

  // ---- in between --------------------------------------------------------------------------------------------

  note(text, isProblem = false) {
    this.welcome.hidden = true;
    if (this.turns.lastElementChild?.textContent === text) return; // once is enough
    this.turns.append(element("li", isProblem ? "note problem" : "note", text));
    this.announce(text);
    this.follow();
  }

  open() {
    this.welcome.hidden = true;
    this.turn?.querySelector(".waiting")?.remove();
    this.turn = element("li", "turn");
    this.turns.append(this.turn);
    while (this.turns.children.length > MOST_TURNS) this.turns.firstElementChild.remove();
  }

  /** Screen readers are told whole sentences, never single words as they come; nothing while `quiet`. */
  announce(text) {
    if (!this.quiet) this.spoken.textContent = text;
  }

  /** Stay at the end, unless the user has scrolled up to read. */
  follow() {
    if (this.atEnd) this.toEnd();
  }

  toEnd() {
    this.scroll.scrollTop = this.scroll.scrollHeight;
  }
}

/** Notes may stand between two turns. */
function turnBefore(turn) {
  let before = turn.previousElementSibling;
  while (before && !before.classList.contains("turn")) before = before.previousElementSibling;
  return before;
}

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function waiting() {
  const dots = element("p", "waiting");
  dots.setAttribute("aria-label", "thinking");
  for (let i = 0; i < 3; i++) dots.append(document.createElement("i"));
  return dots;
}
