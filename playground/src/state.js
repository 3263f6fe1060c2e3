// What the page shows: one object, and the same in the part of the address behind "#", so that a link shows it again.

export const state = {
  file: "", // its name; of the standard library with a sign in front
  kind: "shape",
  name: "", // of the declaration that is shown
  seed: 0,
  grid: 96,
  displacement: "",
  mapper: "",
  held: {}, // values that sliders hold, by kind and name
  at: [0, 0, 0], // where slices are
  grey: false,
  camera: { azimuth: -58, elevation: 26, zoom: 1 },
  tab: "shape",
  recipe: "",
  volume: { side: 64, seed: 0, index: 0, objects: 12 },
};

const TEXTS = ["file", "kind", "name", "displacement", "mapper", "tab", "recipe"];

export function fromAddress(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  for (const key of TEXTS) if (given.has(key)) state[key] = given.get(key);
  const number = (key, fallback) => {
    const value = given.has(key) ? Number(given.get(key)) : fallback;
    return Number.isFinite(value) ? value : fallback;
  };
  state.seed = Math.max(0, Math.trunc(number("seed", state.seed)));
  state.grid = Math.min(256, Math.max(8, Math.trunc(number("grid", state.grid))));
  state.grey = given.get("grey") === "1";
  for (const key of ["side", "seed", "index", "objects"]) {
    state.volume[key] = Math.max(0, Math.trunc(number(`volume.${key}`, state.volume[key])));
  }
  const numbers = (key, count) => {
    const parts = (given.get(key) ?? "").split(",").map(Number);
    return parts.length === count && parts.every(Number.isFinite) ? parts : null;
  };
  state.at = numbers("at", 3) ?? state.at;
  const camera = numbers("camera", 3);
  if (camera) [state.camera.azimuth, state.camera.elevation, state.camera.zoom] = camera;
  try {
    const held = JSON.parse(given.get("held") ?? "{}");
    if (held && typeof held === "object" && !Array.isArray(held)) state.held = held;
  } catch {
    // a link that was cut off: its values are left out
  }
}

export function toAddress() {
  const parts = new URLSearchParams();
  for (const key of TEXTS) if (state[key]) parts.set(key, state[key]);
  parts.set("seed", state.seed);
  parts.set("grid", state.grid);
  if (state.grey) parts.set("grey", "1");
  parts.set("at", state.at.join(","));
  const { azimuth, elevation, zoom } = state.camera;
  parts.set("camera", [azimuth, elevation, zoom].map((v) => Number(v.toFixed(2))).join(","));
  if (Object.keys(state.held).length) parts.set("held", JSON.stringify(state.held));
  if (state.tab === "volume") for (const [key, value] of Object.entries(state.volume)) parts.set(`volume.${key}`, value);
  return `#${parts}`;
}

let waiting = 0;

// The address follows, but not each movement of a hand: browsers allow few changes a second.
export function remember() {
  clearTimeout(waiting);
  waiting = setTimeout(() => history.replaceState(null, "", toAddress()), 250);
}
