// The labelled volume of a recipe, in NiiVue, which is loaded when it is first needed.

import { $, count, element, options } from "./dom.js";
import { remember, state } from "./state.js";

const OWN = "";

export class Volume {
  constructor(link) {
    this.link = link;
    this.viewer = null;
    this.drawn = "";
    for (const [id, key] of [["volume-side", "side"], ["volume-seed", "seed"], ["volume-index", "index"], ["volume-objects", "objects"]]) {
      $(id).value = state.volume[key];
      $(id).addEventListener("change", () => {
        const value = Math.trunc(Number($(id).value));
        if (Number.isFinite(value) && value >= 0) state.volume[key] = value;
        this.draw();
      });
    }
    $("volume-recipe").addEventListener("change", () => {
      state.recipe = $("volume-recipe").value;
      this.draw();
    });
    $("volume-next").addEventListener("click", () => {
      state.volume.index += 1;
      $("volume-index").value = state.volume.index;
      this.draw();
    });
    $("volume-opacity").addEventListener("input", () => this.viewer?.opacity($("volume-opacity").valueAsNumber));
    $("volume-layout").addEventListener("change", () => this.viewer?.layout($("volume-layout").value));
  }

  async show() {
    if (!this.recipes) {
      const { recipes } = await this.link.ask("recipes");
      this.recipes = recipes;
      options($("volume-recipe"), [OWN, ...Object.keys(recipes)], state.recipe, { [OWN]: "the classes of this text" });
      for (const option of $("volume-recipe").options) option.title = recipes[option.value] ?? "";
    }
    this.draw();
  }

  draw() {
    remember();
    $("volume-own").hidden = state.recipe !== OWN;
    const wanted = { ...state.volume, recipe: state.recipe, displacement: state.displacement, mapper: state.mapper };
    this.say("drawing …");
    $("volume").setAttribute("aria-busy", "true");
    this.newest = (this.newest ?? 0) + 1;
    const mine = this.newest;
    this.link.job("volume", wanted, (answer) => {
      if (mine !== this.newest) return;
      if (answer.compiled) this.say(`compiling kernels, once: ${answer.compiled[0]} of ${answer.compiled[1]}`);
      else if (answer.problem) this.say(answer.problem);
      else if (answer.data?.image) this.take(answer);
      if (answer.done) $("volume").setAttribute("aria-busy", "false");
    });
  }

  async take({ data, labels, objects, filled, grid }) {
    const few = labels.slice(0, 40);
    $("labels").replaceChildren(...few.map(({ number, name, colour }) => {
      const spot = element("span", { class: "spot" });
      spot.style.backgroundColor = `rgb(${colour.join(",")})`;
      return element("li", {}, spot, `${number}  ${name}`);
    }), ...(labels.length > few.length ? [element("li", { textContent: `and ${labels.length - few.length} more` })] : []));
    const about = `${grid.join(" x ")} voxels, ${count(objects, "object")}, ${count(labels.length, "class", "classes")} seen, ${
      Math.round(100 * filled)} % labelled`;
    try {
      if (!this.viewer) {
        const { Viewer } = await import("./niivue.js");
        this.viewer = await Viewer.on($("volume"));
      }
      await this.viewer.show(data.image, data.label, labels, $("volume-opacity").valueAsNumber, $("volume-layout").value);
      this.say(about);
      $("volume").dataset.shown = Number($("volume").dataset.shown ?? 0) + 1;
    } catch (error) {
      this.say(`${about}. It cannot be shown: ${error.message}`);
    }
  }

  say(text) {
    $("volume-state").textContent = text;
  }
}
