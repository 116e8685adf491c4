// The settings dialog: what the user prefers, kept in this browser.

const STORE = "parley.preferences";
const DEFAULTS = {
  mode: "free",
  wake: false,
  wake_word: "hey jarvis",
  wake_mode: "pre",
  microphone: "",
  loudspeaker: "",
  echo: true,
  headphones: false,
  voice: "default",
  speed: 1,
};

export class Preferences {
  /** `onChange(name, values)` after every change. */
  constructor(document_, onChange) {
    this.dialog = document_.getElementById("settings");
    this.form = this.dialog.querySelector("form");
    this.fields = this.form.elements;
    this.document = document_;
    this.onChange = onChange;
    this.values = { ...DEFAULTS, ...read() };
    this.show();
    this.form.addEventListener("change", (event) => this.take(event.target));
    this.fields.speed.addEventListener("input", () => this.showSpeed());
    // A click on the backdrop closes: it lands on the dialog itself, never on what is in it.
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
  }

  open() {
    this.listDevices();
    this.dialog.showModal();
  }

  take(field) {
    const { name } = field;
    if (!(name in DEFAULTS)) return;
    let value = field.type === "checkbox" ? field.checked : field.value;
    if (name === "speed") value = Number(value);
    if (name === "wake_word") value = value.trim() || DEFAULTS.wake_word;
    this.values[name] = value;
    this.keep();
    this.show();
    this.onChange(name, this.values);
  }

  keep() {
    try {
      localStorage.setItem(STORE, JSON.stringify(this.values));
    } catch {
      // a private window may have no store: the choice lasts as long as the page
    }
  }

  reset() {
    this.values = { ...DEFAULTS };
    this.keep();
    this.show();
    this.onChange("mode", this.values);
  }

  show() {
    for (const [name, value] of Object.entries(this.values)) {
      const field = this.fields[name];
      if (typeof value === "boolean") field.checked = value;
      else field.value = value;
    }
    for (const id of ["wake-field", "wake-mode-field"]) this.document.getElementById(id).hidden = !this.values.wake;
    this.showSpeed();
  }

  showSpeed() {
    this.document.getElementById("speed-out").textContent = Number(this.fields.speed.value).toFixed(1);
  }

  /** The devices there are. Their names are told only after the microphone was allowed. */
  async listDevices() {
    const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
    this.fill("microphone", devices, "audioinput");
    this.fill("loudspeaker", devices, "audiooutput");
    const speakers = devices.filter(({ kind, deviceId }) => kind === "audiooutput" && deviceId);
    const canChoose = typeof AudioContext.prototype.setSinkId === "function";
    this.document.getElementById("speaker-field").hidden = !canChoose || speakers.length < 2;
  }

  fill(name, devices, kind) {
    const usable = devices.filter((device) => device.kind === kind && device.deviceId && device.deviceId !== "default");
    const options = usable.map((device, index) => new Option(device.label || `Device ${index + 1}`, device.deviceId));
    this.fields[name].replaceChildren(new Option("Default", ""), ...options);
    this.fields[name].value = usable.some((device) => device.deviceId === this.values[name]) ? this.values[name] : "";
  }

  /** What this server can do: {voices: [{id, name, language}], wake_words: [..]}. */
  offer({ voices, wake_words }) {
    const groups = Map.groupBy?.(voices, (voice) => voice.language || "other") ?? new Map([["voices", voices]]);
    const own = navigator.language.slice(0, 2);
    const order = ([a], [b]) => b.startsWith(own) - a.startsWith(own) || a.localeCompare(b);
    const lists = [...groups].sort(order).map(([language, members]) => {
      const group = document.createElement("optgroup");
      group.label = languageName(language);
      group.append(...members.map((voice) => new Option(voice.name || voice.id, voice.id)));
      return group;
    });
    this.fields.voice.replaceChildren(new Option("Default", "default"), ...lists);
    if (!voices.some((voice) => voice.id === this.values.voice)) this.values.voice = "default";
    this.fields.voice.value = this.values.voice;
    this.document.getElementById("voice-field").hidden = voices.length < 2;
    const words = wake_words.map((word) => new Option(word, word));
    this.document.getElementById("wake-words").replaceChildren(...words);
  }
}

function languageName(code) {
  try {
    return new Intl.DisplayNames(undefined, { type: "language" }).of(code.replace("_", "-")) ?? code;
  } catch {
    return code;
  }
}

function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(STORE) ?? "{}");
    return Object.fromEntries(Object.entries(kept).filter(([name, value]) => typeof value === typeof DEFAULTS[name]));
  } catch {
    return {};
  }
}
