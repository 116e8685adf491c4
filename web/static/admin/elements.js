// Elements from data. Whatever comes from the server is set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** el("button.quiet", {type: "button", onclick}, "Text", child): null children are left out. */
export function el(spec, attributes = {}, ...children) {
  const [tag, ...classes] = spec.split(".");
  const made = document.createElement(tag || "div");
  if (classes.length) made.className = classes.join(" ");
  return fill(made, attributes, children);
}

/** The same for the parts of a picture. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Set the text only where it is another one: screen readers and selections stay undisturbed. */
export function say(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** A text from elsewhere that may be of any length and direction: isolated, and whole in its title. */
export function name(text, spec = "bdi.name") {
  const made = el(spec);
  rename(made, text);
  return made;
}

export function rename(element, text) {
  say(element, text);
  if (element.title !== text) element.title = text;
}

/**
 * One view for each item, by key. Views that stay are updated where they are, so that focus, open details and
 * selections outlive every poll. `make(item)` gives {element, show(item)}.
 */
export class Keyed {
  constructor(parent, make) {
    this.parent = parent;
    this.make = make;
    this.views = new Map();
  }

  show(items, keyOf) {
    const gone = new Map(this.views);
    let before = null;
    for (const item of items) {
      const key = keyOf(item);
      let view = this.views.get(key);
      if (!view) {
        view = this.make(item);
        this.views.set(key, view);
      }
      gone.delete(key);
      view.show(item);
      const place = before ? before.nextSibling : this.parent.firstChild;
      if (place !== view.element) this.parent.insertBefore(view.element, place);
      before = view.element;
    }
    for (const [key, view] of gone) {
      view.element.remove();
      view.close?.();
      this.views.delete(key);
    }
  }
}

/** A labelled figure that changes: {element, show(text)}. */
export function figure(label) {
  const value = el("dd");
  const element = el("div.figure", {}, el("dt", {}, label), value);
  return { element, value, show: (text) => say(value, text) };
}

export function button(text, onclick, spec = "button.small-button", attributes = {}) {
  return el(spec, { type: "button", onclick, ...attributes }, text);
}
