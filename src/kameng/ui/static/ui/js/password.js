// Show and hide; and a hint of how strong it is, beside an input that has data-strength. The server checks again.
import { words } from "kameng/behaviours";

const COMMON = /^(.)\1+$|123456|654321|111111|password|passw0rd|qwerty|asdf|zxcv|admin|letmein|iloveyou|abc123|woaini|5201314|147258|000000/i;

/** 0 (guessed at once) to 4 (very strong), from length, variety and runs. */
export function score(text) {
  if (!text) return 0;
  const sets = [/[a-z]/, /[A-Z]/, /\d/, /[^\w\s]/, /[^\x00-\x7f]/].filter((set) => set.test(text)).length;
  const pool = Math.max(10, sets * 22);
  let free = 0;
  for (let at = 0; at < text.length; at += 1) {
    const step = at ? text.charCodeAt(at) - text.charCodeAt(at - 1) : 2;
    free += step >= -1 && step <= 1 ? 0.25 : 1; // Repeats and runs add little.
  }
  const distinct = new Set(text.toLowerCase()).size;
  const bits = Math.min(free, distinct * 1.6) * Math.log2(pool) - (COMMON.test(text) ? 28 : 0);
  return bits < 28 ? 0 : bits < 40 ? 1 : bits < 54 ? 2 : bits < 72 ? 3 : 4;
}

export function bind(frame) {
  const input = frame.querySelector("input");
  const toggle = frame.querySelector("[data-password-toggle]");
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    const shown = input.type === "text";
    input.type = shown ? "password" : "text";
    toggle.setAttribute("aria-label", words(shown ? "show" : "hide"));
    toggle.setAttribute("aria-pressed", String(!shown));
  });
  if (!input.hasAttribute("data-strength")) return;
  const meter = document.createElement("div");
  meter.className = "k-meter";
  meter.innerHTML = '<div class="k-meter-bars" aria-hidden="true"><i></i><i></i><i></i><i></i></div><p class="k-help" aria-live="polite"></p>';
  meter.hidden = true;
  frame.after(meter);
  input.addEventListener("input", () => {
    const found = score(input.value);
    meter.hidden = input.value === "";
    meter.dataset.score = Math.max(1, found);
    meter.querySelector("p").textContent = words(`password_${found}`);
  });
}
