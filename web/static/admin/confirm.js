// One question with two answers, as a dialog that the keyboard can do.

import { el, say } from "./elements.js";

export class Confirm {
  constructor() {
    this.title = el("h2", { id: "confirm-title" });
    this.text = el("p");
    this.yes = el("button.filled", { value: "yes" });
    this.dialog = el(
      "dialog",
      { "aria-labelledby": "confirm-title" },
      el("form.stacked", { method: "dialog" }, this.title, this.text, el("div.notice-actions", {}, this.yes, el("button.quiet", { value: "no" }, "Cancel"))),
    );
    document.body.append(this.dialog);
  }

  /** True where the answer was yes. */
  ask(title, text, yes) {
    say(this.title, title);
    say(this.text, text);
    say(this.yes, yes);
    this.dialog.returnValue = "";
    this.dialog.showModal();
    return new Promise((resolve) => {
      this.dialog.addEventListener("close", () => resolve(this.dialog.returnValue === "yes"), { once: true });
    });
  }
}
