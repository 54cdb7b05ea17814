// A text field that suggests what may be meant: asks `data-kameng-find`?q=… for {found: [{value, note}]}.
// Without script the field is what it was, with the browser's own list where the page has one.
import { words } from "kameng/behaviours";

const WAIT_MS = 150;
let serial = 0;

export function bind(input) {
  const list = document.createElement("ul");
  list.id = `find-${(serial += 1)}`;
  list.className = "k-suggest";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", input.labels?.[0]?.textContent.trim() ?? "");
  list.hidden = true;
  const box = document.createElement("div");
  box.className = "k-suggest-box";
  input.replaceWith(box);
  box.append(input, list);
  input.removeAttribute("list");
  for (const [name, value] of Object.entries({
    role: "combobox", autocomplete: "off", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id,
  })) input.setAttribute(name, value);
  let timer = 0;
  let asked = null;
  let at = -1;

  const options = () => [...list.querySelectorAll("[role=option]")];
  function close() {
    list.hidden = true;
    at = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }
  function mark(next) {
    const all = options();
    if (!all.length) return;
    at = (next + all.length) % all.length;
    all.forEach((option, index) => option.setAttribute("aria-selected", String(index === at)));
    all[at].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", all[at].id);
  }
  function choose(option) {
    input.value = option.dataset.value;
    close();
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }
  function show(found) {
    list.replaceChildren(
      ...found.map((one, index) => {
        const option = document.createElement("li");
        option.id = `${list.id}-${index}`;
        option.setAttribute("role", "option");
        option.setAttribute("aria-selected", "false");
        option.dataset.value = one.value;
        const note = document.createElement("span");
        note.textContent = one.note;
        option.append(one.value, note);
        return option;
      }),
    );
    if (!found.length) {
      const none = document.createElement("li");
      none.className = "k-suggest-none";
      none.textContent = words("find_none");
      list.append(none);
    }
    at = -1;
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
  }
  async function ask() {
    asked?.abort();
    const query = input.value.trim();
    if (!query) return close();
    asked = new AbortController();
    try {
      const answer = await fetch(`${input.dataset.kamengFind}?q=${encodeURIComponent(query)}`, { signal: asked.signal });
      if (answer.ok && document.activeElement === input) show((await answer.json()).found);
    } catch {
      close(); // No answer, or another letter was typed: what is typed can be sent as it is.
    }
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT_MS);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) ask();
      else mark(at + (event.key === "ArrowDown" ? 1 : at < 0 ? 0 : -1));
    } else if (event.key === "Enter" && !list.hidden && at >= 0) {
      event.preventDefault();
      choose(options()[at]);
    } else if (event.key === "Escape" && !list.hidden) {
      event.stopPropagation();
      event.preventDefault();
      close();
    }
  });
  input.addEventListener("blur", () => setTimeout(close, 120));
  list.addEventListener("pointerdown", (event) => {
    event.preventDefault(); // The field keeps the focus, so that it does not close before the click counts.
    const option = event.target.closest("[role=option]");
    if (option) choose(option);
  });
}
