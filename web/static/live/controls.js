// Buttons, keys and the typed line. Says what the user wants; does nothing itself.

const TOO_SHORT_MS = 150; // a slip of the finger, not a request

export class Controls {
  /**
   * `wants`: start(), end(), mute(), press(), release(meant), interrupt(), type(text), settings().
   */
  constructor(document_, wants) {
    const find = (id) => document_.getElementById(id);
    this.wants = wants;
    this.body = document_.body;
    this.dialog = find("settings");
    this.talk = find("talk");
    this.label = find("talk-label");
    this.endButton = find("end");
    this.interruptButton = find("interrupt");
    this.typed = find("typed");
    this.started = false;
    this.hold = false;
    this.pressedAt = 0;
    this.spaceIsOurs = false;

    this.talk.addEventListener("click", () => this.clicked());
    this.talk.addEventListener("pointerdown", (event) => this.pointerDown(event));
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
      this.talk.addEventListener(name, () => this.release());
    }
    this.talk.addEventListener("contextmenu", (event) => event.preventDefault()); // a long press on a phone
    this.endButton.addEventListener("click", () => wants.end());
    this.interruptButton.addEventListener("click", () => wants.interrupt());
    find("open-settings").addEventListener("click", () => wants.settings());
    find("composer").addEventListener("submit", (event) => this.submit(event));
    for (const idea of document_.querySelectorAll(".idea")) {
      idea.addEventListener("click", () => wants.type(idea.textContent));
    }
    // A button that was clicked with the mouse shall not keep the space bar to itself.
    document_.addEventListener("click", (event) => event.detail > 0 && event.target.closest("button")?.blur());
    document_.addEventListener("keydown", (event) => this.keyDown(event));
    document_.addEventListener("keyup", (event) => this.keyUp(event));
    addEventListener("blur", () => this.release()); // the key may come up in another window
  }

  /** `started`: the microphone is open. `hold`: push-to-talk. `busy`: there is something to interrupt. */
  show({ started, muted, hold, busy }) {
    this.started = started;
    this.hold = hold;
    this.talk.classList.toggle("muted", started && !hold && muted); // its label says so, too
    const holding = this.pressedAt ? "Release to send" : "Hold to talk";
    const running = hold ? holding : muted ? "Unmute" : "Mute";
    this.label.textContent = started ? running : "Start talking";
    this.endButton.disabled = !started;
    this.interruptButton.disabled = !busy;
  }

  clicked() {
    if (!this.started) this.wants.start();
    else if (!this.hold) this.wants.mute();
  }

  pointerDown(event) {
    if (!this.started || !this.hold || event.button !== 0) return;
    this.talk.setPointerCapture(event.pointerId);
    this.press();
  }

  press() {
    if (this.pressedAt) return;
    this.pressedAt = performance.now();
    this.talk.classList.add("held");
    this.wants.press();
  }

  release() {
    if (!this.pressedAt) return;
    const meant = performance.now() - this.pressedAt >= TOO_SHORT_MS;
    this.pressedAt = 0;
    this.talk.classList.remove("held");
    this.wants.release(meant);
  }

  submit(event) {
    event.preventDefault();
    const text = this.typed.value.trim();
    if (!text) return;
    this.typed.value = "";
    this.wants.type(text);
  }

  /** What could not be sent comes back, to be sent later. */
  giveBack(text) {
    this.typed.value ||= text;
  }

  // Space belongs to the page, except where it already means something.
  isOurs(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || this.dialog.open) return false;
    const at = event.target;
    if (at instanceof HTMLInputElement || at instanceof HTMLSelectElement) return false;
    return !(at instanceof HTMLButtonElement) || (at === this.talk && this.started && this.hold);
  }

  keyDown(event) {
    if (!this.isOurs(event)) return;
    if (event.code === "Space") {
      event.preventDefault();
      if (event.repeat) return;
      this.spaceIsOurs = true;
      if (this.started && this.hold) this.press();
      else if (!this.interruptButton.disabled) this.wants.interrupt();
    } else if (event.key === "m" && this.started && !this.hold && !event.repeat) {
      this.wants.mute();
    } else if (event.key === "/") {
      event.preventDefault();
      this.typed.focus();
    } else if (event.key === "Escape" && !this.interruptButton.disabled) {
      this.wants.interrupt();
    }
  }

  keyUp(event) {
    if (event.code !== "Space") return;
    if (this.spaceIsOurs) event.preventDefault(); // some browsers click a button when the key comes up
    this.spaceIsOurs = false;
    this.release();
  }
}
