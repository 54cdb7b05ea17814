// Copies data-copy-text, or the text of the element that data-kameng-copy names.
import { toast } from "kameng/toast";
import { words } from "kameng/behaviours";

async function write(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  // Plain http on a local network has no clipboard interface; the old way works after a click.
  const area = document.createElement("textarea");
  area.value = text;
  area.setAttribute("readonly", "");
  area.className = "sr-only";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("copy refused");
}

export function bind(button) {
  button.addEventListener("click", async () => {
    const target = button.dataset.kamengCopy && document.getElementById(button.dataset.kamengCopy);
    const text = button.dataset.copyText ?? (target ? target.value ?? target.textContent.trim() : "");
    try {
      await write(text);
    } catch {
      toast(words("copy_failed"), "warning");
      return;
    }
    button.dataset.copied = "";
    setTimeout(() => delete button.dataset.copied, 2000);
  });
}
