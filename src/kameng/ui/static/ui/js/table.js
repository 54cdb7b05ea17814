// Choosing rows: all of the page, a stretch with Shift, everything that matches; the bar of deeds appears.
import { words } from "kameng/behaviours";

export function bind(frame) {
  const all = frame.querySelector("[data-kameng-all]");
  const bar = frame.querySelector("[data-kameng-bulk]");
  if (!all || !bar) return;
  const label = bar.querySelector("[data-bulk-count]");
  const everythingButton = bar.querySelector("[data-bulk-everything]");
  const pageButton = bar.querySelector("[data-bulk-page]"); // For cards, whose head with its box is not to be seen.
  const everything = frame.querySelector("[data-table-everything]");
  const rows = () => [...frame.querySelectorAll("[data-kameng-row]")];
  let last = null;

  function show() {
    const boxes = rows();
    const chosen = boxes.filter((box) => box.checked).length;
    all.checked = boxes.length > 0 && chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
    bar.hidden = chosen === 0;
    if (!all.checked) everything.value = "";
    const whole = everything.value === "1";
    label.textContent = words("selected", { count: whole ? everythingButton.dataset.bulkEverything : chosen });
    if (pageButton) pageButton.hidden = all.checked;
    if (everythingButton) everythingButton.hidden = whole || !all.checked;
  }

  all.addEventListener("change", () => {
    for (const box of rows()) box.checked = all.checked;
    show();
  });
  pageButton?.addEventListener("click", () => {
    for (const box of rows()) box.checked = true;
    show();
  });
  frame.addEventListener("click", (event) => {
    const box = event.target.closest("[data-kameng-row]");
    if (!box) return;
    const boxes = rows();
    if (event.shiftKey && last && boxes.includes(last)) {
      const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((a, b) => a - b);
      for (const between of boxes.slice(from, to + 1)) between.checked = box.checked;
    }
    last = box;
    show();
  });
  everythingButton?.addEventListener("click", () => {
    everything.value = "1";
    show();
  });
  bar.querySelector("[data-bulk-clear]").addEventListener("click", () => {
    for (const box of rows()) box.checked = false;
    show();
    all.focus();
  });
  frame.addEventListener("htmx:afterSwap", show);
  show();
}
