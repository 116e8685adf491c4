// Figures as people read them.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(count) {
  if (!Number.isFinite(count)) return "–";
  let value = Math.abs(count);
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

/** Up to a second in milliseconds. */
export function seconds(value) {
  if (!Number.isFinite(value)) return "–";
  if (value < 0.9995) return `${Math.round(value * 1000)} ms`;
  if (value < 60) return `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;
  return longer(value);
}

function longer(value) {
  const minutes = Math.round(value / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} days`;
}

export function count(value) {
  return Number.isFinite(value) ? Math.round(value).toLocaleString("en") : "–";
}

export function rate(value) {
  if (!Number.isFinite(value)) return "–";
  return value < 10 ? value.toFixed(1) : count(value);
}

export function percent(share) {
  return `${Math.round(share * 100)} %`;
}

/** For a line of text; the whole name stands elsewhere. */
export function shorten(text, most = 40) {
  const letters = [...text];
  return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : text;
}

/** An error of the server and its hint as sentences. */
export function told({ message, hint }) {
  return hint ? `${message.replace(/\.$/, "")}. ${hint[0].toUpperCase()}${hint.slice(1)}` : message;
}
