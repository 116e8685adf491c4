// What a model writes, as blocks of pieces: each piece knows where in the text it stands. Never makes HTML of it.

const FENCE = /^[ \t]*(`{3,}|~{3,})/;
const HEADING = /^ {0,3}#{1,6}[ \t]+/;
const BULLET = /^[ \t]*[-*+•][ \t]+/;
const NUMBER = /^[ \t]*(\d{1,3})[.)][ \t]+/;
const QUOTE = /^[ \t]*>[ \t]?/;
const RULE = /^[ \t]*([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
// Of bounded lengths: a row of brackets is not read to its end from each of them.
const INLINE = new RegExp(
  [
    "`([^`\\n]{1,500})`",
    "\\*\\*(?=\\S)([^*\\n]{0,500}?\\S)\\*\\*",
    "\\*(?=[^\\s*])([^*\\n]{0,500}?\\S)\\*(?![\\w*])",
    "\\[([^\\]\\n]{1,300})\\]\\((https?://[^\\s()]{1,2000}|mailto:[^\\s()]{1,300})\\)",
    "(https?://[^\\s<>\"'`]{0,2000}[^\\s<>\"'`.,;:!?)\\]])",
  ].join("|"),
  "gd",
);
const NAMES = ["code", "strong", "em", "a", "", "a"]; // of the groups of INLINE

/**
 * `[{kind, start, end, items}]`. kind: "p", "heading", "ul", "ol", "blockquote", "pre" or "hr". An item is {pieces,
 * number?}, a piece {start, end, tags, href?}: text.slice(start, end) inside these elements.
 */
export function blocks(text) {
  const found = [];
  let fence = null;
  let last = null; // the block that the next line may belong to
  for (const { start, end } of lines(text)) {
    const line = text.slice(start, end);
    const begin = (kind, from, number) => {
      const item = { start: from, end, pieces: [], number };
      if (last?.kind === kind && (kind === "ul" || kind === "ol")) last.items.push(item);
      else found.push((last = { kind, start, end, items: [item] }));
      last.end = end;
      return item;
    };
    if (fence) {
      last.end = end;
      if (line.trimStart().startsWith(fence)) fence = last = null;
      else last.items[0].end = end;
      continue;
    }
    const opened = FENCE.exec(line);
    const marked = (kind, match) => begin(kind, start + match[0].length, match[1] && Number(match[1]));
    if (opened) {
      begin("pre", end + 1);
      fence = opened[1];
    } else if (!line.trim()) last = null;
    else if (RULE.test(line)) begin("hr", end);
    else if (HEADING.test(line)) marked("heading", HEADING.exec(line));
    else if (BULLET.test(line)) marked("ul", BULLET.exec(line));
    else if (NUMBER.test(line)) marked("ol", NUMBER.exec(line));
    else if (last && ["p", "ul", "ol"].includes(last.kind)) {
      last.items.at(-1).end = last.end = end; // the line goes on
    } else if (QUOTE.test(line)) marked("blockquote", QUOTE.exec(line));
    else begin("p", start);
  }
  for (const { kind, items } of found) {
    for (const item of items) {
      item.start = Math.min(item.start, item.end);
      item.pieces = kind === "pre" ? [{ ...pick(item), tags: ["code"] }] : inline(text, item.start, item.end, []);
    }
  }
  return found;
}

/** As a person would read it out. */
export function plain(text) {
  const read = ({ pieces }) => pieces.map(({ start, end }) => text.slice(start, end)).join("");
  return blocks(text).flatMap(({ items }) => items.map(read)).join(" ");
}

const pick = ({ start, end }) => ({ start, end });

function* lines(text) {
  for (let start = 0; start <= text.length; ) {
    const stop = text.indexOf("\n", start);
    const end = stop < 0 ? text.length : stop;
    yield { start, end };
    start = end + 1;
  }
}

function inline(text, start, end, tags) {
  const pieces = [];
  let at = start;
  const plainTo = (to) => to > at && pieces.push({ start: at, end: to, tags });
  for (const match of text.slice(start, end).matchAll(INLINE)) {
    const group = match.findIndex((value, index) => index > 0 && value !== undefined);
    if (group === 3 && /[\w*]/.test(text[start + match.index - 1] ?? "")) continue; // 2*3*4
    const [from, to] = match.indices[group].map((index) => index + start);
    plainTo(match.index + start);
    const inside = [...tags, NAMES[group - 1]];
    if (group === 2 || group === 3) pieces.push(...inline(text, from, to, inside));
    else pieces.push({ start: from, end: to, tags: inside, href: group === 4 ? match[5] : match[6] });
    at = match.index + match[0].length + start;
  }
  plainTo(end);
  return pieces;
}
