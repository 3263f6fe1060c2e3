// Bundles the page into runtime/play/static, with the licences of everything in it. The same sources and the same
// package-lock.json give the same bytes.

import { build } from "esbuild";
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "runtime", "play", "static");
const shared = {
  absWorkingDir: here, bundle: true, format: "esm", target: "es2022", minify: true, charset: "utf8", legalComments: "none",
  metafile: true, logLevel: "warning", loader: { ".json": "json" },
};

await mkdir(out, { recursive: true });
for (const name of await readdir(out)) if (!name.startsWith("__")) await rm(join(out, name));
const results = [
  // NiiVue in a file of its own, loaded when a volume is looked at.
  await build({ ...shared, entryPoints: ["src/niivue.js"], outfile: join(out, "niivue.js") }),
  await build({ ...shared, entryPoints: ["src/main.js"], outfile: join(out, "main.js"), external: ["./niivue.js"] }),
];
for (const name of ["index.html", "icon.svg"]) await copyFile(join(here, "src", name), join(out, name));
const style = await build({ ...shared, entryPoints: ["src/style.css"], outfile: join(out, "style.css") });
results.push(style);

const packages = new Map();
for (const { metafile } of results) {
  for (const [input, { bytesInOutput }] of Object.entries(Object.values(metafile.outputs)[0].inputs)) {
    const parts = input.split(/[\\/]/);
    const at = parts.lastIndexOf("node_modules");
    if (at < 0 || !bytesInOutput) continue;
    const name = parts[at + 1].startsWith("@") ? parts.slice(at + 1, at + 3).join("/") : parts[at + 1];
    packages.set(name, join(here, ...parts.slice(0, at + 1), ...name.split("/")));
  }
}
const texts = [];
for (const [name, folder] of [...packages].sort(([a], [b]) => (a < b ? -1 : 1))) {
  const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  const file = (await readdir(folder)).sort().find((one) => /^(licen[cs]e|copying)/i.test(one));
  const own = join(here, "licences", `${name.replace("/", "__")}.txt`);
  const text = await readFile(file ? join(folder, file) : own, "utf8").catch(() => {
    throw new Error(`${name} ships no licence: put its text into ${relative(here, own).split(sep).join("/")}`);
  });
  texts.push(`${name} ${version} (${license})\n\n${text.trim().replaceAll("\r\n", "\n")}\n`);
}
const rule = `\n${"-".repeat(80)}\n\n`;
await writeFile(join(out, "licences.txt"), `What main.js and niivue.js are bundled of, besides the page itself, which is under Apache-2.0.\n${rule}${texts.join(rule)}`);
