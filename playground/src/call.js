// The call that is being written: what it takes, above the text, with the present parameter marked. Escape hides it.

import { Prec, StateEffect, StateField } from "@codemirror/state";
import { ViewPlugin, keymap, showTooltip } from "@codemirror/view";
import { element } from "./dom.js";

const WAIT = 80; // milliseconds after a movement
const told = StateEffect.define();

const shown = StateField.define({
  create: () => null,
  update(tooltip, transaction) {
    for (const effect of transaction.effects) if (effect.is(told)) return effect.value;
    return tooltip && transaction.docChanged ? { ...tooltip, pos: transaction.changes.mapPos(tooltip.pos) } : tooltip;
  },
  provide: (field) => showTooltip.from(field),
});

// `ask` gives `{label, parameters, active}` for an offset, or null where there is no call.
export function callHelp(ask) {
  const plugin = ViewPlugin.fromClass(class {
    update(update) {
      if (!update.docChanged && !update.selectionSet) return;
      clearTimeout(this.waiting);
      if (update.view.hasFocus) this.waiting = setTimeout(() => this.look(update.view), WAIT);
    }

    async look(view) {
      const { state } = view;
      const at = state.selection.main.head;
      const call = state.readOnly ? null : await ask(at);
      if (view.state.doc !== state.doc || view.state.selection.main.head !== at) return; // a newer one is on its way
      if (call || view.state.field(shown)) view.dispatch({ effects: told.of(call && tooltip(at, call)) });
    }

    destroy() {
      clearTimeout(this.waiting);
    }
  });
  const hide = (view) => {
    if (!view.state.field(shown)) return false;
    view.dispatch({ effects: told.of(null) });
    return true;
  };
  return [shown, plugin, Prec.low(keymap.of([{ key: "Escape", run: hide }]))];
}

function tooltip(pos, { label, parameters, active }) {
  return { pos, above: true, create: () => ({ dom: element("div", { class: "call" }, ...marked(label, parameters, active)) }) };
}

// The label with one parameter in bold. They stand in it in their order.
function marked(label, parameters, active) {
  let from = label.indexOf("(") + 1;
  for (const [i, text] of parameters.entries()) {
    const at = label.indexOf(text, from);
    if (at < 0) break;
    if (i === active) return [label.slice(0, at), element("b", { textContent: text }), label.slice(at + text.length)];
    from = at + text.length;
  }
  return [label];
}
