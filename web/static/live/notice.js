// What needs a decision of the user: no microphone, no connection, signed out.

const TEXTS = {
  denied: {
    title: "The microphone is blocked",
    text: "Parley cannot hear you until this page may use the microphone.",
    detail: "Click the icon to the left of the address bar, allow the microphone, and try again.",
    act: "Try again",
  },
  missing: {
    title: "There is no microphone",
    text: "No microphone was found. Plug one in, or choose another in the settings.",
    act: "Try again",
  },
  busy: {
    title: "The microphone is in use",
    text: "Another program is using the microphone. Close it and try again.",
    act: "Try again",
  },
  insecure: {
    title: "The microphone needs a secure address",
    text: "Browsers allow the microphone and the voice only on https pages and on localhost. You can type, and read the answers.",
    detail: `Put Parley behind https, or run \`ssh -L ${location.port || 80}:127.0.0.1:${location.port || 80} ${location.hostname}\` here and open \`http://localhost:${location.port || 80}/live\`.`,
  },
  failed: {
    title: "The microphone did not start",
    text: "Something went wrong while opening the microphone.",
    act: "Try again",
  },
  quiet: {
    title: "The sound is off",
    text: "The browser plays no sound before you have clicked on the page.",
    act: "Switch it on",
  },
  silent: {
    title: "The loudspeaker did not start",
    text: "Something went wrong while opening the loudspeaker.",
    act: "Try again",
  },
  "signed-out": {
    title: "You are signed out",
    text: "`parley up` prints a link that signs you in, and `parley link` prints a new one. Or paste your key:",
  },
  refused: { title: "The server refused the settings", text: "", act: "Use the defaults" },
  waiting: { title: "Connection lost", text: "Parley cannot hear you just now.", act: "Try now" },
};
const INLINE = new Set(["waiting"]);
const CAN_TYPE = new Set(["denied", "missing", "busy", "insecure", "failed", "silent", "quiet"]);

export class Notice {
  constructor(document_) {
    const find = (id) => document_.getElementById(id);
    this.box = find("notice");
    this.card = this.box.querySelector(".notice-card");
    this.title = find("notice-title");
    this.text = find("notice-text");
    this.detail = find("notice-detail");
    this.act = find("notice-act");
    this.dismiss = find("notice-close");
    this.keyForm = find("key-form");
    this.behind = [...document_.querySelectorAll("body > header, body > main")];
    this.typed = find("typed");
    this.kind = "";
    this.timer = 0;
    this.act.addEventListener("click", () => {
      const { action } = this;
      this.hide();
      action?.();
    });
    this.dismiss.addEventListener("click", () => {
      this.hide();
      this.typed.focus();
    });
    this.box.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !this.dismiss.hidden) this.hide();
    });
  }

  /** `say` replaces the text, `seconds` counts down to the next try, `action` is what the button does. */
  show(kind, { say = "", detail = "", seconds = 0, action = null } = {}) {
    const texts = TEXTS[kind];
    this.kind = kind;
    this.action = action;
    this.title.textContent = texts.title;
    this.text.replaceChildren(...withCode(say || texts.text));
    this.detail.replaceChildren(...withCode(detail || texts.detail || ""));
    this.act.textContent = texts.act ?? "";
    this.act.hidden = !texts.act || !action;
    this.dismiss.hidden = !CAN_TYPE.has(kind);
    this.keyForm.hidden = kind !== "signed-out";
    this.box.classList.toggle("inline", INLINE.has(kind));
    this.detail.setAttribute("aria-hidden", seconds > 0); // a countdown is not read out, second by second
    const inline = INLINE.has(kind);
    this.box.setAttribute("role", inline ? "alert" : "alertdialog");
    for (const element of this.behind) element.inert = !inline;
    this.box.hidden = false;
    this.countDown(seconds);
    const buttons = [this.act, this.dismiss].filter((button) => !button.hidden);
    if (!inline) (this.keyForm.hidden ? buttons[0] : this.keyForm.elements.key)?.focus();
  }

  countDown(seconds) {
    clearInterval(this.timer);
    if (!seconds) return;
    const until = performance.now() + seconds * 1000;
    const tell = () => {
      const left = Math.max(1, Math.ceil((until - performance.now()) / 1000));
      this.detail.textContent = `Trying again in ${left} s`;
    };
    tell();
    this.timer = setInterval(tell, 500);
  }

  hide(kind = this.kind) {
    if (kind !== this.kind) return;
    clearInterval(this.timer);
    this.kind = "";
    for (const element of this.behind) element.inert = false;
    this.box.hidden = true;
  }
}

/** Text with `commands` in it as nodes. */
function withCode(text) {
  return text.split("`").map((part, index) => {
    if (index % 2 === 0) return part;
    const code = document.createElement("code");
    code.textContent = part;
    return code;
  });
}
