// The one entry: finds what a page asks for by `data-kameng-*` and loads only that.
// A module exports bind(element), called once per element, for the page and for every fragment that htmx brings.
const page = JSON.parse(document.getElementById("kameng-page").textContent);
const MODULES = {
  "[data-kameng-chart]": "kameng/chart",
  "[data-kameng-copy]": "kameng/copy",
  "[data-kameng-dialog], [data-kameng-open], [data-kameng-close]": "kameng/dialog",
  "[data-kameng-form], [data-kameng-guard], [data-kameng-drop], [data-kameng-fill], [data-kameng-submit-now]":
    "kameng/forms",
  "[data-kameng-find]": "kameng/find",
  "[data-kameng-menu]": "kameng/menu",
  "[data-kameng-nav]": "kameng/nav",
  "[data-kameng-password]": "kameng/password",
  "[data-kameng-passkey]": "kameng/passkey",
  "[data-kameng-pow]": "kameng/pow",
  "[data-kameng-shortcut]": "kameng/shortcuts",
  "[data-kameng-stepper]": "kameng/stepper",
  "[data-kameng-table]": "kameng/table",
  "[data-kameng-theme]": "kameng/theme",
  "[data-kameng-toasts], [data-kameng-toast]": "kameng/toast",
  "[data-kameng-upload]": "kameng/upload",
  "[data-kameng-when]": "kameng/when",
};
const bound = new WeakMap();

/** Words in the reader's language; `%(name)s` is filled from `values`. */
export function words(key, values = {}) {
  return (page.words[key] ?? key).replace(/%\((\w+)\)s/g, (_, name) => values[name] ?? "").replaceAll("%%", "%");
}

/** Address of a file that is loaded late (the chart library, the worker), with its hash. */
export function address(name) {
  return page.addresses[name];
}

/** Binds every behaviour below `root`; an element is bound once per behaviour. */
export function bindAll(root) {
  for (const [selector, module] of Object.entries(MODULES)) {
    const found = [...root.querySelectorAll(selector)];
    if (root instanceof Element && root.matches(selector)) found.push(root);
    if (!found.length) continue;
    import(module).then(({ bind }) => {
      for (const element of found) {
        const done = bound.get(element) ?? new Set();
        if (done.has(module)) continue;
        done.add(module);
        bound.set(element, done);
        bind(element);
      }
    });
  }
}

async function say(text, tone) {
  const { toast } = await import("kameng/toast");
  toast(text, tone);
}

// A refusal that says where it belongs (a toast, a field) is shown there; what was typed stays.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (!event.detail.xhr.getResponseHeader("HX-Retarget")) return;
  event.detail.shouldSwap = true;
  event.detail.isError = false;
});
document.addEventListener("htmx:load", (event) => bindAll(event.detail.elt));
document.addEventListener("htmx:beforeRequest", () => document.body.classList.add("k-busy"));
document.addEventListener("htmx:afterRequest", () => document.body.classList.remove("k-busy"));
document.addEventListener("htmx:sendError", () => say(words("network_error"), "danger"));
document.addEventListener("htmx:timeout", () => say(words("network_error"), "danger"));
document.addEventListener("htmx:responseError", (event) => {
  const told = event.detail.xhr.getResponseHeader("HX-Trigger") ?? "";
  if (told.includes("kameng:toast")) return;
  // A refusal says its reason as JSON; a page that is no fragment gets our own words.
  let message = "";
  try {
    message = JSON.parse(event.detail.xhr.responseText).error?.message ?? "";
  } catch {
    message = "";
  }
  say(message || words(event.detail.xhr.status >= 500 ? "server_error" : "not_done"), "danger");
});
document.addEventListener("kameng:toast", (event) => say(event.detail.text, event.detail.tone));
bindAll(document);
