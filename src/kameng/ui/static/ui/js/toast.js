// Short words at the edge of the page. Good news leaves by itself; an error stays until it is dismissed.
import { words } from "kameng/behaviours";

const STAY_MS = 6000;

/** Shows `text`; `tone` is success, info, warning or danger. */
export function toast(text, tone = "info") {
  const region = document.querySelector("[data-kameng-toasts]");
  if (!region) return;
  const card = document.createElement("div");
  card.className = "k-toast";
  card.dataset.tone = tone;
  card.setAttribute("role", tone === "danger" ? "alert" : "status");
  const mark = document.createElement("span");
  mark.className = "k-toast-mark";
  mark.dataset.tone = tone;
  const body = document.createElement("span");
  body.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "k-toast-close";
  close.dataset.toastClose = "";
  close.setAttribute("aria-label", words("dismiss"));
  close.textContent = "×";
  card.append(mark, body, close);
  region.append(card);
  raise(region);
  bind(card);
}

// Above an open dialogue there is only the top layer.
function raise(region) {
  if (typeof region.showPopover !== "function" || !document.querySelector("dialog[open]")) return;
  region.popover = "manual";
  if (region.matches(":popover-open")) region.hidePopover();
  region.showPopover();
}

export function bind(card) {
  if (card.hasAttribute("data-kameng-toasts")) return;
  card.querySelector("[data-toast-close]")?.addEventListener("click", () => card.remove());
  if (card.dataset.tone === "danger" || card.dataset.tone === "warning" || card.hasAttribute("data-toast-stays")) return;
  let timer = setTimeout(() => card.remove(), STAY_MS);
  card.addEventListener("pointerenter", () => clearTimeout(timer));
  card.addEventListener("pointerleave", () => (timer = setTimeout(() => card.remove(), STAY_MS)));
}
