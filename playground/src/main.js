// The page: what belongs to what, and what follows on what.

import { $, count, element, options, say } from "./dom.js";
import { showDraws } from "./draws.js";
import { Editor } from "./editor.js";
import { Gallery } from "./gallery.js";
import { Sliders, nested } from "./sliders.js";
import { Link } from "./socket.js";
import { fromAddress, remember, state, toAddress } from "./state.js";
import { View } from "./view.js";
import { Volume } from "./volume.js";

const NEW = `use std

## A ball with bumps.
shape bumpy {
  ## Its radius.
  radius ~ uniform(0.2, 0.35) * grid.min
  ## How high the bumps are.
  height ~ uniform(0.02, 0.1) * grid.min
  u = p / radius
  distance = (length(p) - radius - height * sin(6 * u.x) * sin(6 * u.y) * sin(6 * u.z)) / 2
}
`;

let standard = "<standard>/";
let file = { name: "", text: "", stamp: "", own: false }; // as it is on disk
let classes = [];
let volume = null;
let begun = false;
let arrived = true; // whether the text is where it was asked to be

const link = new Link(new URL("socket", location.href.split("#")[0]).href.replace(/^http/, "ws"), { news, state: connection });
const sliders = new Sliders($("sliders"), {
  hold(kind, q, flat) {
    state.held = { ...state.held, [kind]: { ...state.held[kind], [q.name]: nested(q, flat) } };
    $("release-all").hidden = false;
    view.moved();
  },
  release(kind, name) {
    const { [name]: _, ...rest } = state.held[kind] ?? {};
    state.held = { ...state.held, [kind]: rest };
    if (!Object.keys(rest).length) delete state.held[kind];
    $("release-all").hidden = !Object.keys(state.held).length;
    view.ask({ ranges: true });
  },
});
const view = new View(link, { sliders, choices, trouble });
const editor = new Editor($("text"), {
  nonce: document.querySelector("meta[name=nonce]").content, link, save: () => save(), changed: marks,
  go: (name, line) => openFile(name, { line }),
});
const gallery = new Gallery(link, async (one) => {
  // Taken now, so that the first picture is already of this class.
  Object.assign(state, { kind: one.kind, name: one.name, held: {} });
  await openFile(one.file, { line: one.line, focus: false });
  screen("write");
  tab("shape");
  $("subject").focus();
});

// -- the connection

function connection(how, reason) {
  document.body.dataset.connection = how;
  if (how === "open") {
    if ($("notice").className === "lost") say("");
    return;
  }
  const kept = "What you typed is kept here";
  say(how === "refused"
    ? `The server is not there, or was started anew and has a new address. ${kept}: copy it, or start the server again.`
    : `${reason || "The connection is lost"}. ${kept}; trying again …`, "lost");
}

async function news(message) {
  if (message.is === "hello") await hello(message);
  else if (message.is === "told") told(message);
  else if (message.is === "disk") disk(message);
  else if (message.problem) say(message.problem, "bad");
}

async function hello({ first, folder, standard: sign }) {
  standard = sign;
  $("folder").textContent = folder;
  if (begun) { // the connection was lost, and is there again
    await again();
    return;
  }
  begun = true;
  fromAddress(location.hash);
  volume = new Volume(link);
  fields();
  await files();
  const draft = kept();
  const wanted = state.file || draft?.file || first;
  if (!wanted) {
    screen("gallery");
    return;
  }
  if (draft && draft.file === wanted && !draft.stamp) await begin(draft.text);
  else if (!(await openFile(wanted, { focus: false })) && first && wanted !== first) await openFile(first, { focus: false });
  if (draft && draft.file === file.name && draft.text !== file.text) {
    editor.replace(draft.text);
    say("What was not saved before is here again.", "note");
  }
  if (!file.name) screen("gallery");
  tab(state.tab);
}

// The server has forgotten the page: it is told what is shown. The text stays what it is here.
async function again() {
  const text = editor.text;
  if (!file.name) return;
  const answer = await (file.stamp ? link.ask("open", { file: file.name }) : link.ask("new", { text }));
  if (answer.problem) {
    say(`${answer.problem}. Your text is here: save it under a name.`, "bad");
    return;
  }
  editor.file = answer.file;
  const other = file.stamp && answer.stamp !== file.stamp;
  if (!file.stamp) file = { ...file, name: answer.file };
  editor.send({ stamp: file.stamp });
  if (other) disk({ file: file.name, text: answer.text, stamp: answer.stamp });
  view.busy = false;
  view.anew();
}

// -- files

async function files() {
  const { files: names } = await link.ask("files");
  const shown = file.name && !names.includes(file.name) ? [file.name, ...names] : names;
  options($("file"), ["", ...shown], file.name, { "": names.length ? "open a file …" : "no .sdf file here yet" });
}

async function leave() {
  return !unsaved() || confirm(`${file.name} has changes that are not saved. Leave them?`);
}

async function openFile(name, { line = null, focus = true } = {}) {
  if (name !== file.name) {
    if (!(await leave())) {
      $("file").value = file.name;
      return false;
    }
    const answer = await link.ask("open", { file: name });
    if (answer.problem) {
      say(answer.problem, "bad");
      $("file").value = file.name;
      return false;
    }
    take(answer);
  }
  if (line !== null) {
    arrived = true;
    editor.goTo(line, 0, focus);
  }
  screen("write");
  return true;
}

async function begin(text = NEW) {
  if (!(await leave())) return;
  const answer = await link.ask("new", { text });
  take(answer);
  screen("write");
  tab("shape");
  editor.view.focus();
}

function take({ file: name, text, stamp, own, version }) {
  file = { name, text: stamp ? text : "", stamp, own };
  if (state.file !== name) Object.assign(state, { file: name, ...(begun && classes.length ? { held: {} } : {}) });
  classes = [];
  arrived = false;
  view.frame = null;
  editor.show(name, text, version, own);
  say(own ? "" : "This is the standard library: look and try. “Save as” makes a copy of your own.", "note");
  files();
  marks();
}

function unsaved() {
  return file.own && editor.text !== file.text;
}

function marks() {
  const changed = unsaved();
  document.body.classList.toggle("unsaved", changed);
  $("save").disabled = !changed;
  $("format").disabled = !file.own;
  document.title = `${changed ? "* " : ""}${file.name.replace(standard, "") || "playground"} – fdif-dsl`;
  try { // a page that is closed by mistake has it again
    if (changed) sessionStorage.setItem("draft", JSON.stringify({ file: file.name, text: editor.text, stamp: file.stamp }));
    else sessionStorage.removeItem("draft");
  } catch {
    // a browser that keeps nothing
  }
}

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem("draft"));
  } catch {
    return null;
  }
}

async function save(name = file.name, stamp = name === file.name ? file.stamp : "") {
  if (!file.own && name === file.name) {
    saveAs();
    return;
  }
  if (!file.stamp && name === file.name && stamp === "" && !name.includes("/") && name.startsWith("untitled")) {
    saveAs();
    return;
  }
  const text = editor.text;
  let answer;
  try {
    answer = await link.ask("save", { file: name, text, stamp });
  } catch (error) {
    say(`It was not saved: ${error.message}.`, "bad");
    return;
  }
  if (answer.problem) {
    say(answer.problem, "bad", ...(answer.changed
      ? [element("button", { type: "button", textContent: "Save all the same", onclick: () => save(name, null) })] : []));
    return;
  }
  const renamed = name !== file.name;
  file = { name: answer.file, text, stamp: answer.stamp, own: true };
  if (renamed) {
    state.file = answer.file;
    editor.show(answer.file, text, answer.version, true);
  }
  editor.send({ stamp: file.stamp });
  say(`${name} is saved.`, "good");
  await files();
  marks();
  remember();
}

function saveAs() {
  const dialog = $("save-as");
  $("save-name").value = file.own && file.stamp ? file.name : file.name.replace(standard, "my_");
  dialog.showModal();
  $("save-name").select();
}

// Another program has written the file.
function disk({ file: name, text, stamp, gone }) {
  if (name !== file.name) return;
  if (gone) {
    say(`${name} is gone from the disk. Your text is here; “Save” writes it again.`, "bad");
    file = { ...file, text: null, stamp: "" };
    editor.send({ stamp: "" });
    marks();
    return;
  }
  const load = () => {
    file = { ...file, text, stamp };
    editor.replace(text);
    editor.send({ stamp });
    marks();
  };
  if (!unsaved()) {
    load();
    say(`${name} has changed on disk; this is how it is now.`, "note");
    return;
  }
  say(`${name} has changed on disk, and you have changes too.`, "bad",
    element("button", { type: "button", textContent: "Take what is on disk", onclick: () => { load(); say(""); } }),
    element("button", { type: "button", textContent: "Keep mine", onclick: () => {
      file = { ...file, text, stamp };
      editor.send({ stamp });
      marks();
      say("Yours is kept; “Save” writes it over what is on disk.");
    } }));
}

// -- what is said of the text

function told({ mistakes, classes: found, version, file: name }) {
  if (version !== editor.version || name !== editor.file) return;
  document.body.dataset.text = "told";
  editor.told(mistakes);
  problems(mistakes);
  classes = found;
  subjects();
  const shown = classes.find((one) => one.name === state.name && one.kind === state.kind);
  if (!arrived && shown !== classes[0]) editor.goTo(shown?.line ?? 0, 0, false);
  arrived = true;
  if (!shown) {
    trouble("There is nothing to draw: a shape, displacement or mapper without a parameter list is drawn.");
    document.body.classList.add("stale");
  } else if (shown.broken) {
    trouble(`\`${shown.name}\` has a mistake; this is how it was.`);
    document.body.classList.add("stale");
  } else {
    view.anew();
    if (state.tab === "draws") showDraws(link, chooseDraw);
  }
}

function problems(mistakes) {
  $("problems").replaceChildren(...mistakes.map((one) => {
    const kind = one.severity === 2 ? "warning" : "error";
    const [first, ...rest] = one.message.split("\n");
    return element("li", { class: kind },
      element("button", { type: "button", class: "problem", onclick: () => editor.goTo(one.range.start.line, one.range.start.character) },
        element("span", { class: "place", textContent: `${one.range.start.line + 1}:${one.range.start.character + 1}` }),
        element("span", { textContent: `${kind} ${one.code}: ${first}` })),
      ...rest.map((line) => element("p", { class: "more", textContent: line })),
      one.fix && file.own ? element("button", { type: "button", class: "fix", textContent: one.fix.title, onclick: () => editor.edit(one.fix.edits) }) : null);
  }));
  const [errors, warnings] = [1, 2].map((severity) => mistakes.filter((one) => one.severity === severity).length);
  $("count").textContent = [errors && count(errors, "mistake"), warnings && count(warnings, "warning")].filter(Boolean).join(", ") ||
    "no mistakes";
  $("count").className = errors ? "bad" : warnings ? "warned" : "good";
}

function subjects() {
  if (!classes.some((one) => one.name === state.name && one.kind === state.kind)) {
    const first = classes.find((one) => one.kind === "shape" && !one.broken) ?? classes[0];
    if (first) Object.assign(state, { kind: first.kind, name: first.name, held: {} });
  }
  const keys = classes.map((one) => `${one.kind} ${one.name}`);
  options($("subject"), keys, `${state.kind} ${state.name}`, Object.fromEntries(classes.map((one) => [
    `${one.kind} ${one.name}`, one.kind === "shape" ? one.name : `${one.name} (${one.kind})`])));
  $("about").textContent = classes.find((one) => one.name === state.name && one.kind === state.kind)?.doc ?? "";
}

function trouble(text, hint = "") {
  $("trouble").textContent = [text, hint].filter(Boolean).join(" – ");
  $("trouble").hidden = !text;
}

function choices({ displacement, mapper }) {
  const none = { "": "none" };
  options($("displacement"), ["", ...displacement], state.displacement, none);
  options($("mapper"), ["", ...mapper], state.mapper, none);
  $("displacement").disabled = state.kind === "displacement";
  $("mapper").disabled = state.kind === "mapper";
  $("grey").disabled = !state.mapper && state.kind !== "mapper";
}

// -- what is chosen

function fields() {
  $("seed").value = state.seed;
  $("grid").value = String(state.grid);
  $("grey").checked = state.grey;
  $("release-all").hidden = !Object.keys(state.held).length;
  view.slides();
}

function chooseDraw(seed) {
  state.seed = seed;
  state.held = {};
  fields();
  tab("shape");
  view.anew();
}

function tab(name) {
  state.tab = ["shape", "draws", "volume"].includes(name) ? name : "shape";
  for (const button of document.querySelectorAll("[role=tab]")) {
    const chosen = button.id === `tab-${state.tab}`;
    button.setAttribute("aria-selected", chosen);
    button.tabIndex = chosen ? 0 : -1;
    $(button.getAttribute("aria-controls")).hidden = !chosen;
  }
  if (state.tab === "draws") showDraws(link, chooseDraw);
  if (state.tab === "volume" && link.open) volume?.show();
  remember();
}

function screen(name) {
  document.body.dataset.screen = name;
  $("show-gallery").setAttribute("aria-pressed", name === "gallery");
  $("show-gallery").textContent = name === "gallery" && file.name ? "Back to the text" : "Gallery";
  $("gallery").hidden = name !== "gallery";
  $("write").hidden = name === "gallery";
  if (name === "gallery" && link.open) gallery.show();
}

const on = (id, event, act) => $(id).addEventListener(event, act);
on("file", "change", () => $("file").value && openFile($("file").value));
on("new", "click", () => begin());
on("save", "click", () => save());
on("save-other", "click", saveAs);
on("save-form", "submit", (event) => {
  event.preventDefault();
  $("save-as").close();
  const name = $("save-name").value.trim();
  if (name) save(name.endsWith(".sdf") ? name : `${name}.sdf`, name === file.name ? file.stamp : "");
});
on("save-cancel", "click", () => $("save-as").close());
on("format", "click", async () => {
  const { text } = await link.ask("format");
  if (text === null) say("A text with mistakes has no layout: mend them first.", "bad");
  else editor.replace(text);
});
on("show-gallery", "click", () => screen(document.body.dataset.screen === "gallery" && file.name ? "write" : "gallery"));
on("subject", "change", () => {
  const [kind, name] = $("subject").value.split(" ");
  Object.assign(state, { kind, name, held: {} });
  $("release-all").hidden = true;
  subjects();
  const found = classes.find((one) => one.kind === kind && one.name === name);
  if (found) editor.goTo(found.line, 0, false);
  view.anew();
  if (state.tab === "draws") showDraws(link, chooseDraw);
});
on("again", "click", () => {
  state.seed += 1;
  state.held = {};
  fields();
  view.anew();
  if (state.tab === "draws") showDraws(link, chooseDraw);
});
on("seed", "change", () => {
  const seed = Math.trunc($("seed").valueAsNumber);
  if (seed >= 0 && Number.isSafeInteger(seed)) state.seed = seed;
  fields();
  view.anew();
});
on("grid", "change", () => {
  state.grid = Number($("grid").value);
  view.slides();
  view.anew();
});
for (const what of ["displacement", "mapper"]) {
  on(what, "change", () => {
    state[what] = $(what).value;
    if (what === "mapper") {
      state.grey = Boolean(state.mapper);
      $("grey").checked = state.grey;
    }
    const { [what]: _, ...rest } = state.held;
    state.held = rest;
    view.anew();
  });
}
on("grey", "change", () => {
  state.grey = $("grey").checked;
  view.ask({ fine: true, ranges: true });
});
on("fit", "click", () => view.reset());
on("release-all", "click", () => {
  state.held = {};
  $("release-all").hidden = true;
  view.ask({ ranges: true });
});
on("link", "click", async () => {
  history.replaceState(null, "", toAddress());
  try {
    await navigator.clipboard.writeText(location.href);
    say("The link is copied. It shows this state to whoever can reach this server, as long as it runs.", "good");
  } catch {
    say("The address bar has the link to this state.", "note");
  }
});
for (const button of document.querySelectorAll("[role=tab]")) {
  button.addEventListener("click", () => tab(button.id.replace("tab-", "")));
  button.addEventListener("keydown", ({ key }) => {
    const all = [...document.querySelectorAll("[role=tab]")];
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (!step) return;
    const next = all[(all.indexOf(button) + step + all.length) % all.length];
    next.focus();
    next.click();
  });
}
const THEMES = ["auto", "light", "dark"];
function theme(name) {
  document.documentElement.dataset.theme = name;
  $("theme").textContent = `Theme: ${name}`;
  try {
    localStorage.setItem("theme", name);
  } catch {
    // a browser that keeps nothing
  }
}
on("theme", "click", () => theme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]));
let chosenTheme = "auto";
try {
  chosenTheme = localStorage.getItem("theme") ?? "auto";
} catch {
  // a browser that keeps nothing
}
theme(THEMES.includes(chosenTheme) ? chosenTheme : "auto");
window.addEventListener("beforeunload", (event) => {
  if (unsaved()) event.preventDefault();
});
window.addEventListener("hashchange", () => {
  if (location.hash === toAddress()) return;
  const before = state.file;
  state.held = {};
  fromAddress(location.hash);
  fields();
  if (state.file !== before) openFile(state.file, { focus: false });
  else {
    subjects();
    view.anew();
  }
  tab(state.tab);
});
