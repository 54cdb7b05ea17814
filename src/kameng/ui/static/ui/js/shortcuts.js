// One key puts the cursor into the element that names it ("/" → search), unless somebody is typing.
export function bind(element) {
  document.addEventListener("keydown", (event) => {
    if (event.key !== element.dataset.kamengShortcut || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("input, textarea, select, [contenteditable], dialog[open]")) return;
    event.preventDefault();
    element.focus();
    element.select?.();
  });
}
