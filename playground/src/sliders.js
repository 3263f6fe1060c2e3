// A slider and a field for each number of each quantity, between the ends of its prior. Nothing is compiled when one
// moves: what is held is data.

import { element } from "./dom.js";

const KINDS = { shape: "", displacement: "Displacement", mapper: "Mapper" };
const OPEN = 12; // numbers of a quantity up to which all are shown
const LETTERS = "xyzw";

export class Sliders {
  constructor(parent, { hold, release }) {
    this.parent = parent;
    this.hold = hold; // (kind, quantity, flat values)
    this.release = release; // (kind, name)
    this.rows = new Map();
    this.shape = "";
  }

  // Quantities by kind, as the server has them. Rows stay as they are where only numbers changed, and so does the focus.
  show(quantities) {
    const shape = JSON.stringify(Object.entries(quantities).map(([kind, list]) => [kind, list.map((q) => [q.name, q.type, q.source])]));
    if (shape !== this.shape) {
      this.shape = shape;
      this.rows.clear();
      const made = [];
      for (const [kind, list] of Object.entries(quantities)) {
        if (KINDS[kind] && list.length) made.push(element("h3", { textContent: KINDS[kind] }));
        made.push(...list.map((q) => this.row(kind, q)));
      }
      if (!made.length) made.push(element("p", { class: "quiet", textContent: "Nothing is drawn or named in it." }));
      this.parent.replaceChildren(...made);
    }
    for (const [kind, list] of Object.entries(quantities)) for (const q of list) this.update(kind, q);
  }

  // Values alone, by kind and name, while something is dragged.
  follow(values) {
    for (const [kind, list] of Object.entries(values)) {
      for (const [name, flat] of Object.entries(list)) {
        const row = this.rows.get(`${kind}.${name}`);
        if (row) this.write(row, flat);
      }
    }
  }

  row(kind, q) {
    const row = { q, inputs: [] };
    const id = `q-${kind}-${q.name.replaceAll(/\W/g, "_")}`;
    const several = q.values.length > 1;
    row.release = element("button", { type: "button", class: "release", textContent: "free", hidden: true,
      title: "Let its prior, or its formula, decide again", "aria-label": `Release ${q.name}`,
      onclick: () => this.release(kind, q.name) });
    const head = element("div", { class: "quantity-head" },
      element("span", { class: "quantity-name", id, textContent: q.name }),
      element("code", { class: "prior", textContent: `${q.random ? "~" : "="} ${q.source}`, title: q.source }), row.release);
    const numbers = q.values.map((_, i) => {
      const part = several ? label(q, i) : "";
      const name = part ? `${q.name} ${part}` : q.name;
      const range = element("input", { type: "range", step: "any", "aria-label": name, oninput: () => {
        field.value = brief(range.valueAsNumber);
        this.moved(kind, row);
      } });
      const field = element("input", { type: "number", step: "any", "aria-label": `${name}, as a number`, onchange: () => {
        if (Number.isFinite(field.valueAsNumber)) this.moved(kind, row, i);
      } });
      row.inputs.push({ range, field });
      return element("div", { class: "number" }, several ? element("span", { class: "part", textContent: part }) : null, range, field);
    });
    const body = several && q.values.length > OPEN
      ? element("details", {}, element("summary", { textContent: `${q.values.length} numbers` }), ...numbers)
      : element("div", {}, ...numbers);
    row.element = element("div", { class: `quantity ${q.random ? "random" : "derived"}`, role: "group", "aria-labelledby": id },
      head, q.doc ? element("p", { class: "doc", textContent: q.doc }) : null, body);
    this.rows.set(`${kind}.${q.name}`, row);
    return row.element;
  }

  update(kind, q) {
    const row = this.rows.get(`${kind}.${q.name}`);
    row.q = q;
    row.release.hidden = !q.held;
    row.element.classList.toggle("held", q.held);
    row.inputs.forEach(({ range }, i) => {
      let [low, high] = [q.low[i], q.high[i]];
      if (low === null || high === null || !(low < high)) {
        const value = q.values[i] ?? 1;
        [low, high] = value ? [Math.min(0, 2 * value), Math.max(0, 2 * value)] : [-1, 1];
      }
      range.min = low;
      range.max = high;
      range.step = q.whole ? 1 : (high - low) / 500;
    });
    this.write(row, q.values);
  }

  write(row, flat) {
    row.inputs.forEach(({ range, field }, i) => {
      const value = flat[i];
      if (document.activeElement !== range) range.value = value ?? 0;
      if (document.activeElement !== field) field.value = value === null ? "" : brief(value);
      range.setAttribute("aria-valuetext", value === null ? "no number" : brief(value));
    });
  }

  moved(kind, row, typed = -1) {
    const flat = row.inputs.map(({ range, field }, i) => (i === typed ? field.valueAsNumber : range.valueAsNumber));
    if (typed >= 0) { // a number may lie beyond the prior
      const { range } = row.inputs[typed];
      range.min = Math.min(Number(range.min), flat[typed]);
      range.max = Math.max(Number(range.max), flat[typed]);
      range.value = flat[typed];
    }
    row.release.hidden = false;
    row.element.classList.add("held");
    this.hold(kind, row.q, flat);
  }
}

// A quantity's value as the server reads it: a number, a vector, or a list of these.
export function nested(q, flat) {
  const many = /\[\d+\]$/.test(q.type);
  if (q.width === 1) return many ? flat : flat[0];
  const rows = [];
  for (let i = 0; i < flat.length; i += q.width) rows.push(flat.slice(i, i + q.width));
  return many ? rows : rows[0];
}

function label(q, i) {
  const part = q.width > 1 ? LETTERS[i % q.width] : "";
  return q.values.length > q.width ? `${Math.floor(i / q.width)}${part && ` ${part}`}` : part;
}

function brief(value) {
  return String(Number(value.toPrecision(4)));
}
