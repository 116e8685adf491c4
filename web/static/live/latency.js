// One line under an answer: where the time went between the user's last word and the first sound of the answer.

/** What the time before a stage was spent on. */
export const NAMES = {
  endpoint: "end of turn",
  transcript: "recognition",
  first_token: "thinking",
  first_clause: "first clause",
  first_speech: "synthesis",
  first_audio_sent: "sending",
  first_audio_played: "playback",
};
const LAST = ["first_audio_played", "first_audio_sent"];

/** [{name, ms}] of the stages in the order they were reached, up to the first sound. Empty if there was none. */
export function stages(ledger) {
  const end = LAST.map((name) => ledger[name]).find((ms) => ms !== undefined);
  if (end === undefined) return [];
  const reached = Object.entries(ledger)
    .filter(([name, ms]) => name in NAMES && ms <= end)
    .sort((a, b) => a[1] - b[1]);
  let before = 0;
  return reached.map(([name, at]) => {
    // What was ready before the user had finished cost nothing.
    const ms = Math.max(0, at - Math.max(0, before));
    before = at;
    return { name, ms };
  });
}

/** The line as an element, or null where no sound was made. */
export function latencyLine(ledger) {
  const parts = stages(ledger);
  if (parts.length === 0) return null;
  const total = parts.reduce((sum, part) => sum + part.ms, 0);
  const line = document.createElement("div");
  line.className = "latency";
  const bar = document.createElement("div");
  bar.className = "bar";
  bar.setAttribute("aria-hidden", "true");
  const list = document.createElement("ul");
  const sum = document.createElement("li");
  sum.className = "total";
  sum.textContent = `${Math.round(total)} ms to the first sound`;
  list.append(sum);
  parts.forEach((part, index) => {
    if (part.ms < 0.5) return;
    const piece = document.createElement("span");
    piece.className = `step-${Math.min(index, 5)}`;
    piece.style.flex = `${part.ms} 0 0`;
    bar.append(piece);
    const item = document.createElement("li");
    const swatch = document.createElement("i");
    swatch.className = `step-${Math.min(index, 5)}`;
    item.append(swatch, `${NAMES[part.name]} ${Math.round(part.ms)}`);
    list.append(item);
  });
  line.append(bar, list);
  return line;
}
