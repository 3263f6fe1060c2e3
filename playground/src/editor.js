// The text: what is typed goes to the server, and what the server knows of it is shown under it.

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching, foldGutter, foldKeymap, indentOnInput, indentUnit } from "@codemirror/language";
import { forceLinting, lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState } from "@codemirror/state";
import {
  EditorView, crosshairCursor, drawSelection, dropCursor, highlightActiveLine, highlightActiveLineGutter,
  highlightSpecialChars, hoverTooltip, keymap, lineNumbers, rectangularSelection,
} from "@codemirror/view";
import { callHelp } from "./call.js";
import { element, markdown } from "./dom.js";
import { sdf } from "./language.js";

const KINDS = { 3: "function", 5: "property", 6: "variable", 7: "class", 9: "namespace", 10: "property", 14: "keyword", 25: "type" };

const look = EditorView.theme({
  "&": { height: "100%", fontSize: "14px", color: "var(--ink)", backgroundColor: "var(--paper)" },
  ".cm-content": { fontFamily: "var(--mono)", caretColor: "var(--ink)" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.5" },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-2px" },
  ".cm-gutters": { backgroundColor: "var(--panel)", color: "var(--quiet)", border: "none" },
  ".cm-activeLine": { backgroundColor: "var(--active)" },
  ".cm-activeLineGutter": { backgroundColor: "var(--active)", color: "var(--ink)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground, .cm-content ::selection": { background: "var(--selected) !important" },
  ".cm-tooltip": { backgroundColor: "var(--panel)", color: "var(--ink)", border: "1px solid var(--rule)", maxWidth: "36rem" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { background: "var(--accent)", color: "var(--on-accent)" },
  ".cm-completionDetail": { color: "inherit", opacity: "0.85", fontStyle: "normal" },
  ".cm-panels": { backgroundColor: "var(--panel)", color: "var(--ink)" },
  ".cm-diagnostic": { whiteSpace: "pre-wrap" },
  ".cm-matchingBracket": { backgroundColor: "var(--selected) !important" },
});

export class Editor {
  constructor(parent, { nonce, link, changed, save, go }) {
    this.link = link;
    this.version = 0;
    this.file = "";
    this.writable = new Compartment();
    this.breaks = new Compartment();
    this.quiet = false;
    this.extensions = [
      EditorView.cspNonce.of(nonce), lineNumbers(), foldGutter(), lintGutter(), highlightSpecialChars(), history(),
      drawSelection(), dropCursor(), EditorState.allowMultipleSelections.of(true), indentUnit.of("  "), indentOnInput(),
      bracketMatching(), closeBrackets(), rectangularSelection(), crosshairCursor(), highlightActiveLine(),
      highlightActiveLineGutter(), highlightSelectionMatches(), sdf(), look,
      autocompletion({ override: [(context) => this.complete(context)] }),
      hoverTooltip((view, at) => this.hover(view, at)), callHelp((at) => this.call(at)),
      this.writable.of([]), this.breaks.of([]),
      keymap.of([
        { key: "Mod-s", preventDefault: true, run: () => (save(), true) },
        { key: "F12", run: () => (this.place(go), true) },
        ...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...completionKeymap,
        ...lintKeymap,
      ]),
      EditorView.contentAttributes.of({ "aria-label": "Formulas. Tab leaves the text; Ctrl-Space completes" }),
      EditorView.updateListener.of((update) => {
        if (update.docChanged && !this.quiet) {
          this.version += 1;
          this.send();
          changed();
        }
      }),
    ];
    this.view = new EditorView({ parent, state: EditorState.create({ extensions: this.extensions }) });
  }

  get text() {
    return this.view.state.sliceDoc();
  }

  // Another file: its text, its own history of changes, and whether it may be written.
  show(file, text, version, own) {
    this.file = file;
    this.version = version;
    document.body.dataset.text = "sent";
    const line = /\r\n/.test(text) ? "\r\n" : "\n";
    this.view.setState(EditorState.create({
      doc: text,
      extensions: [...this.extensions, EditorState.lineSeparator.of(line),
        own ? [] : [EditorState.readOnly.of(true), EditorView.editorAttributes.of({ class: "read-only" })]],
    }));
  }

  // The same file with another text, as one change that can be undone.
  replace(text) {
    const now = this.view.state;
    if (now.sliceDoc() === text) return;
    const insert = now.toText(text);
    const head = Math.min(now.selection.main.head, insert.length);
    this.view.dispatch({ changes: { from: 0, to: now.doc.length, insert }, selection: { anchor: head } });
  }

  send(extra = {}) {
    document.body.dataset.text = "sent";
    this.link.tell("text", { file: this.file, text: this.text, version: this.version, ...extra });
  }

  offset({ line, character }) {
    const doc = this.view.state.doc;
    if (line >= doc.lines) return doc.length;
    const found = doc.line(line + 1);
    return Math.min(found.from + character, found.to);
  }

  position(offset) {
    const line = this.view.state.doc.lineAt(offset);
    return { line: line.number - 1, character: offset - line.from };
  }

  told(mistakes) {
    const found = mistakes.map((one) => ({
      from: this.offset(one.range.start), to: this.offset(one.range.end),
      severity: one.severity === 2 ? "warning" : "error", message: one.message, source: one.code,
      actions: one.fix ? [{ name: one.fix.title, apply: () => this.edit(one.fix.edits) }] : [],
    }));
    this.view.dispatch(setDiagnostics(this.view.state, found));
    forceLinting(this.view);
  }

  edit(edits) {
    this.view.dispatch({ changes: edits.map(({ range, newText }) => ({
      from: this.offset(range.start), to: this.offset(range.end), insert: newText })), userEvent: "input.fix" });
  }

  goTo(line, character = 0, focus = true) {
    const at = this.offset({ line, character });
    this.view.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: "start", yMargin: 40 }) });
    if (focus) this.view.focus();
  }

  async complete(context) {
    const word = context.matchBefore(/\w*/);
    const before = context.state.sliceDoc(Math.max(0, word.from - 1), word.from);
    if (!context.explicit && word.from === word.to && ![".", "~", ":"].includes(before)) return null;
    const version = this.version;
    const { items } = await this.link.ask("complete", this.position(context.pos));
    if (!items?.length || version !== this.version) return null;
    return { from: word.from, validFor: /^\w*$/, options: items.map((item) => ({
      label: item.label, detail: item.detail === item.label ? "" : item.detail, type: KINDS[item.kind] ?? "text",
      sortText: item.sortText,
      info: item.documentation ? () => element("div", { class: "hover" }, markdown(item.documentation.value)) : undefined,
      apply: item.insertText || item.additionalTextEdits ? (view, completion, from, to) => {
        const more = (item.additionalTextEdits ?? []).map(({ range, newText }) => ({
          from: this.offset(range.start), to: this.offset(range.end), insert: newText }));
        const insert = item.insertText ?? item.label;
        view.dispatch(view.state.update({ changes: [...more, { from, to, insert }], userEvent: "input.complete" }));
        const shift = more.reduce((sum, one) => sum + one.insert.length - (one.to - one.from), 0);
        view.dispatch({ selection: { anchor: from + shift + insert.length } });
      } : undefined,
    })) };
  }

  async hover(view, at) {
    const { hover } = await this.link.ask("hover", this.position(at));
    if (!hover) return null;
    return { pos: this.offset(hover.range.start), end: this.offset(hover.range.end), above: true,
      create: () => ({ dom: element("div", { class: "hover" }, markdown(hover.text)) }) };
  }

  async call(at) {
    if (!this.link.open) return null;
    return (await this.link.ask("signature", this.position(at))).signature;
  }

  async place(go) {
    const found = await this.link.ask("place", this.position(this.view.state.selection.main.head));
    if (found.file) go(found.file, found.line);
  }
}
