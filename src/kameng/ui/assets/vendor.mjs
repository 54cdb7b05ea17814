// Copies what pages need out of node_modules: htmx, the chart library, and our choice of icons.
// The results are committed; run this again only after changing package.json or the list of icons.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, "node_modules");
const target = join(here, "..", "static", "ui", "vendor");
mkdirSync(target, { recursive: true });
copyFileSync(join(modules, "htmx.org/dist/htmx.min.js"), join(target, "htmx.min.js"));
// The middle build: the charts that the consoles draw, with legend and tooltip; the whole library is half as large again.
copyFileSync(join(modules, "echarts/dist/echarts.common.min.js"), join(target, "echarts.min.js"));

// Our name → Lucide's name. Pages use ours, so a change of icon set changes this file alone.
const icons = JSON.parse(readFileSync(join(here, "icons.json"), "utf8"));
const shapes = {};
for (const [name, source] of Object.entries(icons).sort(([a], [b]) => (a < b ? -1 : 1))) {
  const svg = readFileSync(join(modules, "lucide-static/icons", `${source}.svg`), "utf8");
  shapes[name] = svg
    .replace(/<!--[\s\S]*?-->/g, "")
    .replace(/^[\s\S]*?<svg[^>]*>/, "")
    .replace("</svg>", "")
    .replace(/\s*\n\s*/g, "")
    .replace(/ \/>/g, "/>");
}
writeFileSync(join(here, "..", "icon_shapes.json"), JSON.stringify(shapes, null, 1) + "\n");

const licence = (name) => {
  const at = join(modules, name);
  const { version, license } = JSON.parse(readFileSync(join(at, "package.json"), "utf8"));
  const text = readFileSync(join(at, "LICENSE"), "utf8");
  return `== ${name} ${version} (${license})\n\n${text.trim()}\n`;
};
writeFileSync(
  join(target, "LICENCES.txt"),
  ["htmx.org", "echarts", "lucide-static"].map(licence).join("\n\n"),
);
