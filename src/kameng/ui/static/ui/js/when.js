// Relative times stay true while the page is open.
import { words } from "kameng/behaviours";

const WEEK_S = 7 * 86400;
const times = new Set();

function say(element) {
  const seconds = (Date.parse(element.dateTime) - Date.now()) / 1000;
  const size = Math.abs(seconds);
  if (size >= WEEK_S) return; // The server wrote the date.
  if (size < 60) {
    element.textContent = words("just_now");
    return;
  }
  const [unit, name] = size < 3600 ? [60, "min"] : size < 86400 ? [3600, "h"] : [86400, "d"];
  element.textContent = words(seconds < 0 ? `${name}_ago` : `in_${name}`, { count: Math.floor(size / unit) });
}

setInterval(() => {
  for (const element of times) element.isConnected ? say(element) : times.delete(element);
}, 30_000);

export function bind(element) {
  times.add(element);
}
