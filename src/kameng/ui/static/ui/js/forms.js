// Forms: sent once, shown as working; what was typed is not left behind unasked; files by drag and drop.
import { words } from "kameng/behaviours";

const dirty = new Set();
addEventListener("beforeunload", (event) => {
  if (![...dirty].some((form) => form.isConnected)) return;
  event.preventDefault();
  event.returnValue = words("leave"); // Browsers show words of their own.
});
// A page that comes back from the browser's memory must not come back with its button still turning.
addEventListener("pageshow", (event) => {
  if (event.persisted) for (const button of document.querySelectorAll("[data-loading]")) release(button);
});

function release(button) {
  button.removeAttribute("data-loading");
  button.removeAttribute("aria-busy");
}

function once(form) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    if (sent) {
      event.preventDefault();
      return;
    }
    const button = event.submitter;
    const htmx = form.hasAttribute("hx-post") || form.hasAttribute("hx-get");
    if (!htmx && form.method === "post" && !form.target) sent = true;
    dirty.delete(form);
    if (button && !htmx && !form.target) {
      button.setAttribute("data-loading", "");
      button.setAttribute("aria-busy", "true");
    }
    addEventListener("pageshow", (shown) => shown.persisted && (sent = false), { once: true });
  });
}

// A form that came back begins at what is wrong in it, wherever on the page that is.
function mend(form) {
  const wrong = form.querySelector('[aria-invalid="true"], .k-drop[aria-invalid] input, .k-fieldset:has(.k-error) input');
  if (!wrong || form.closest("dialog")) return;
  wrong.focus({ preventScroll: true });
  wrong.scrollIntoView({ block: "center" });
}

function guard(form) {
  form.addEventListener("input", () => dirty.add(form));
  form.addEventListener("reset", () => dirty.delete(form));
  form.addEventListener("htmx:afterRequest", (event) => event.detail.successful && dirty.delete(form));
}

function drop(zone) {
  const input = zone.querySelector("input[type=file]");
  const title = zone.querySelector("[data-drop-title]");
  const empty = title.textContent;
  for (const name of ["dragenter", "dragover"]) zone.addEventListener(name, () => (zone.dataset.over = ""));
  for (const name of ["dragleave", "drop"]) zone.addEventListener(name, () => delete zone.dataset.over);
  input.addEventListener("change", () => {
    title.textContent = [...input.files].map((file) => `${file.name} · ${size(file.size)}`).join(", ") || empty;
  });
}

// A proposal beside a field: a click puts it in.
function fill(button) {
  button.addEventListener("click", () => {
    const input = button.closest("form").elements.namedItem(button.dataset.kamengFill);
    input.value = button.value;
    input.focus();
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

function size(bytes) {
  return bytes < 1024 * 1024 ? `${Math.max(1, Math.round(bytes / 1024))} KB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

export function bind(element) {
  if (element.hasAttribute("data-kameng-drop")) drop(element);
  if (element.hasAttribute("data-kameng-form") && !element.hasAttribute("data-kameng-upload")) {
    once(element);
    mend(element);
  }
  if (element.hasAttribute("data-kameng-guard")) guard(element);
  if (element.hasAttribute("data-kameng-fill")) fill(element);
  // A step that asks nothing of the reader; its button is for those without a script.
  if (element.hasAttribute("data-kameng-submit-now")) element.requestSubmit();
}
