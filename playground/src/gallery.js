// The standard library: a tile for each class, whose picture is drawn when it comes into sight.

import { $, element, paint } from "./dom.js";

const AT_ONCE = 3; // pictures that are asked for ahead

export class Gallery {
  constructor(link, open) {
    this.link = link;
    this.open = open; // called with a class
    this.made = false;
    this.queue = [];
    this.asked = 0;
    $("search").addEventListener("input", () => this.filter());
  }

  async show() {
    if (this.made) return;
    const { classes } = await this.link.ask("gallery");
    this.made = true;
    const seen = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (isIntersecting) {
          seen.unobserve(target);
          this.queue.push(target);
        }
      }
      this.next();
    }, { rootMargin: "200px" });
    const sections = new Map();
    for (const one of classes) {
      if (!sections.has(one.module)) sections.set(one.module, []);
      const canvas = element("canvas", { width: 160, height: 160 });
      const tile = element("button", { type: "button", class: "tile", title: one.doc, onclick: () => this.open(one) }, canvas,
        element("span", { class: "tile-name", textContent: one.name.replaceAll("_", " ") }),
        element("span", { class: "tile-kind", textContent: one.kind }));
      Object.assign(tile, { about: one, canvas });
      tile.dataset.text = `${one.name.replaceAll("_", " ")} ${one.name} ${one.kind} ${one.doc}`.toLowerCase();
      sections.get(one.module).push(tile);
      seen.observe(tile);
    }
    $("gallery-tiles").replaceChildren(...[...sections].map(([module, tiles]) => element("section", { class: "module" },
      element("h2", { textContent: `${module}.sdf` }), element("div", { class: "tiles" }, ...tiles))));
    this.filter();
  }

  next() {
    while (this.asked < AT_ONCE && this.queue.length) {
      const tile = this.queue.shift();
      this.asked += 1;
      const { file, kind, name } = tile.about;
      this.link.job("thumb", { file, kind, name, side: 160 }, (answer) => {
        if (answer.data?.solid) paint(tile.canvas, answer.data.solid);
        if (answer.done) {
          this.asked -= 1;
          if (!answer.lost) this.next();
        }
      });
    }
  }

  filter() {
    const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const tile of document.querySelectorAll(".tile")) {
      tile.hidden = !words.every((word) => tile.dataset.text.includes(word));
      shown += tile.hidden ? 0 : 1;
    }
    for (const section of document.querySelectorAll(".module")) section.hidden = !section.querySelector(".tile:not([hidden])");
    $("found").textContent = words.length ? `${shown} found` : "";
  }
}
