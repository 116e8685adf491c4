// Requests to our own server, and what can go wrong with them.

const PATIENCE_MS = 10_000;

/** The server did not answer at all; `cause` says how that looked to the browser. */
export class Unreachable extends Error {
  constructor(cause) {
    super("The server does not answer.", { cause });
  }
}

/** The server's own error: `status`, `code`, `hint`. */
export class Refusal extends Error {
  constructor(status, { message, hint = "", code = "" }) {
    super(message);
    this.status = status;
    this.hint = hint;
    this.code = code;
  }
}

export const get = (path) => ask("GET", path);
export const post = (path, body = {}) => ask("POST", path, body);
export const put = (path, body) => ask("PUT", path, body);
export const remove = (path) => ask("DELETE", path);

async function ask(method, path, body) {
  const options = { method, credentials: "same-origin", signal: AbortSignal.timeout(PATIENCE_MS) };
  if (body !== undefined) {
    options.headers = { "content-type": "application/json" };
    options.body = JSON.stringify(body);
  }
  let answer;
  let value;
  try {
    answer = await fetch(path, options);
    value = await answer.json().catch(() => null);
  } catch (error) {
    throw new Unreachable(error);
  }
  if (answer.ok && value !== null) return value;
  // A proxy in front of a server that is gone answers with a page of its own.
  if (value === null && (answer.ok || answer.status >= 502)) throw new Unreachable(answer.status);
  throw new Refusal(answer.status, value?.error ?? { message: `the server answered with ${answer.status}` });
}
