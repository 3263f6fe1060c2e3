// Elements, made without text that is read as HTML.

export const $ = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "class") made.className = value;
    else if (key in made && key !== "list") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// Doc comments and hover texts: paragraphs, `code`, and fences of code.
export function markdown(text) {
  const out = document.createDocumentFragment();
  for (const [i, block] of text.split(/```(?:\w*)\n?/).entries()) {
    if (i % 2) out.append(element("pre", {}, element("code", { textContent: block.trimEnd() })));
    else for (const part of block.split(/\n{2,}/)) if (part.trim()) out.append(element("p", {}, ...inline(part.trim())));
  }
  return out;
}

function inline(text) {
  return text.split("`").map((part, i) => (i % 2 ? element("code", { textContent: part }) : part));
}

// "1 class", "2 classes".
export const count = (n, word, words = `${word}s`) => `${n} ${n === 1 ? word : words}`;

export function options(select, values, chosen, labels = {}) {
  select.replaceChildren(...values.map((value) => element("option", {
    value, textContent: labels[value] ?? value, selected: value === chosen })));
  select.value = values.includes(chosen) ? chosen : (values[0] ?? "");
}

// One sentence for everybody, and for screen readers too.
export function say(text, kind = "note", ...actions) {
  const place = $("notice");
  place.className = text ? kind : "";
  place.replaceChildren(element("span", { textContent: text }), ...actions);
  place.hidden = !text;
}

export async function paint(canvas, png, smooth = true) {
  const bitmap = await createImageBitmap(new Blob([png], { type: "image/png" }));
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
  }
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  canvas.classList.toggle("pixels", !smooth);
  canvas.dataset.painted = Number(canvas.dataset.painted ?? 0) + 1;
}
