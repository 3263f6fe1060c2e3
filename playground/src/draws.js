// Twelve instances of a class, drawn from its priors by the next seeds.

import { $, element, paint } from "./dom.js";
import { state } from "./state.js";

export function showDraws(link, chosen) {
  const cells = Array.from({ length: 12 }, (_, k) => {
    const canvas = element("canvas", { width: 128, height: 128 });
    const caption = element("span", { textContent: `seed ${state.seed + k}` });
    const cell = element("button", { type: "button", class: "draw", "aria-label": `Show the draw of seed ${state.seed + k}`,
      onclick: () => chosen(state.seed + k) }, canvas, caption);
    return { cell, canvas };
  });
  $("draws").replaceChildren(...cells.map(({ cell }) => cell));
  if (!state.name) return;
  link.job("draws", {
    kind: state.kind, name: state.name, grid: [state.grid, state.grid, state.grid], seed: state.seed, side: 160,
    displacement: state.kind === "displacement" ? "" : state.displacement, camera: state.camera,
  }, (answer) => {
    if (answer.problem) $("draws").replaceChildren(element("p", { class: "quiet", textContent: answer.problem }));
    else if (answer.data?.solid) paint(cells[answer.place].canvas, answer.data.solid);
  });
}
