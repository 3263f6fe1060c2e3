// The pictures of one instance: the solid, which turns, and three slices. One picture is asked for at a time, and while
// something moves small ones without shadows, so that they keep up with the hand.

import { $, paint } from "./dom.js";
import { remember, state } from "./state.js";

const DRAFT = 256;
const REST = 220; // milliseconds without a movement, after which the fine picture is drawn
const PLANES = { z: ["x", "y"], y: ["x", "z"], x: ["y", "z"] };

export class View {
  constructor(link, { sliders, choices, trouble }) {
    this.link = link;
    this.sliders = sliders;
    this.choices = choices; // called with the names of displacements and mappers
    this.trouble = trouble; // called with a sentence, or with "" where all is well
    this.frame = null;
    this.busy = false;
    this.wanted = null; // what the next picture is to have
    this.rest = 0;
    this.turning();
    this.slicing();
  }

  // Something else is shown: its ranges, its frame, its fine picture.
  anew() {
    this.frame = null;
    this.ask({ ranges: true });
  }

  // The same is shown, moved.
  moved() {
    this.ask({});
    clearTimeout(this.rest);
    this.rest = setTimeout(() => {
      this.rest = 0;
      this.ask({ fine: true, ranges: true });
    }, REST);
  }

  ask(how) {
    if (!state.name) return;
    this.wanted = { ...(this.wanted ?? {}), ...how };
    if (!("fine" in how) && !how.ranges) delete this.wanted.fine; // a movement comes first
    if (!this.busy) this.next();
    remember();
  }

  // Whether everything that was asked for is shown; for who waits, people and tests alike.
  settle() {
    const busy = this.busy || this.wanted || this.rest || this.painting;
    document.body.dataset.pictures = busy ? "coming" : "there";
  }

  next() {
    const how = this.wanted;
    this.wanted = null;
    if (!how || !state.name || !this.link.open) return;
    this.busy = true;
    this.settle();
    const { width } = $("solid").getBoundingClientRect();
    const full = Math.min(512, Math.max(256, Math.round(width * Math.min(2, devicePixelRatio))));
    const shown = `${state.kind} ${state.name}`;
    this.link.job("look", {
      kind: state.kind, name: state.name, grid: [state.grid, state.grid, state.grid], seed: state.seed,
      displacement: state.kind === "displacement" ? "" : state.displacement,
      mapper: state.kind === "mapper" ? "" : state.mapper,
      held: state.held, camera: state.camera, frame: this.frame, fine: Boolean(how.fine), ranges: Boolean(how.ranges),
      side: how.fine ? full : DRAFT, slices: { at: state.at, grey: state.grey },
    }, (answer) => {
      if (answer.done) {
        this.busy = false;
        if (this.wanted) this.next();
        else if (how.ranges && !how.fine && !answer.lost) this.ask({ fine: true });
        this.settle();
      } else if (shown === `${state.kind} ${state.name}`) {
        this.painting = true;
        this.show(answer).finally(() => {
          this.painting = false;
          this.settle();
        });
      }
    });
  }

  async show(answer) {
    if (answer.problem) {
      this.trouble(answer.problem, answer.hint ?? "");
      document.body.classList.add("stale");
      return;
    }
    document.body.classList.remove("stale");
    this.trouble(answer.empty ?? "");
    if (answer.quantities) this.sliders.show(answer.quantities);
    if (answer.values) this.sliders.follow(answer.values);
    if (answer.choices) this.choices(answer.choices);
    this.frame = answer.frame ?? this.frame;
    const { data } = answer;
    if (data.solid) await paint($("solid"), data.solid);
    else $("solid").getContext("2d").clearRect(0, 0, 9999, 9999);
    await Promise.all(Object.keys(PLANES).map((plane) => data[plane] && paint($(`slice-${plane}`), data[plane], !state.grey)));
    for (const plane of Object.keys(PLANES)) {
      const at = state.at["xyz".indexOf(plane)];
      $(`at-${plane}`).textContent = `${plane} = ${at}`;
      $(`slice-${plane}`).setAttribute("aria-label",
        `${state.grey ? "Grey level" : "Distance"} of ${state.name} in the plane ${plane} = ${at}`);
    }
    $("solid").setAttribute("aria-label", `${state.name}, shaded. Arrow keys turn it, plus and minus zoom, 0 shows all of it`);
  }

  turn(across, up) {
    const { camera } = state;
    camera.azimuth = ((camera.azimuth - across + 540) % 360) - 180;
    camera.elevation = Math.max(-89, Math.min(89, camera.elevation + up));
    this.moved();
  }

  zoom(factor) {
    state.camera.zoom = Math.max(0.2, Math.min(20, state.camera.zoom * factor));
    this.moved();
  }

  reset() {
    Object.assign(state.camera, { azimuth: -58, elevation: 26, zoom: 1 });
    this.anew();
  }

  turning() {
    const canvas = $("solid");
    let from = null;
    canvas.addEventListener("pointerdown", (event) => {
      from = [event.clientX, event.clientY];
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!from) return;
      this.turn((event.clientX - from[0]) * 0.5, (event.clientY - from[1]) * 0.5);
      from = [event.clientX, event.clientY];
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { from = null; });
    canvas.addEventListener("wheel", (event) => {
      if (document.activeElement !== canvas) return; // the page scrolls, until the picture is clicked
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 500));
    }, { passive: false });
    const keys = {
      ArrowLeft: () => this.turn(-8, 0), ArrowRight: () => this.turn(8, 0), ArrowUp: () => this.turn(0, 8),
      ArrowDown: () => this.turn(0, -8), "+": () => this.zoom(1.15), "=": () => this.zoom(1.15), "-": () => this.zoom(1 / 1.15),
      0: () => this.reset(),
    };
    canvas.addEventListener("keydown", (event) => {
      if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keys[event.key]();
    });
  }

  // A slice is moved by its slider, or by a click into another one.
  slicing() {
    for (const [plane, [across, up]] of Object.entries(PLANES)) {
      const slider = $(`slide-${plane}`);
      slider.addEventListener("input", () => this.cut(plane, slider.valueAsNumber));
      const canvas = $(`slice-${plane}`);
      canvas.addEventListener("pointerdown", (event) => {
        const { left, top, width, height } = canvas.getBoundingClientRect();
        const half = state.grid / 2;
        this.cut(across, Math.round(((event.clientX - left) / width) * state.grid - half));
        this.cut(up, Math.round((1 - (event.clientY - top) / height) * state.grid - half));
      });
    }
  }

  cut(axis, value) {
    const half = Math.floor(state.grid / 2);
    state.at["xyz".indexOf(axis)] = Math.max(-half, Math.min(half - 1, value));
    this.slides();
    this.moved();
  }

  slides() {
    const half = Math.floor(state.grid / 2);
    for (const [i, axis] of ["x", "y", "z"].entries()) {
      state.at[i] = Math.max(-half, Math.min(half - 1, state.at[i]));
      Object.assign($(`slide-${axis}`), { min: -half, max: half - 1, step: 1, value: state.at[i] });
    }
  }
}
