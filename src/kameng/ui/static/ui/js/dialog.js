// Native dialogues: opened by [data-kameng-open="id"], closed by [data-kameng-close], Escape or a click beside them.
export function bind(element) {
  if (element.dataset.kamengOpen) {
    element.addEventListener("click", (event) => {
      const dialog = document.getElementById(element.dataset.kamengOpen);
      if (!dialog) return;
      event.preventDefault();
      element.closest("details")?.removeAttribute("open");
      dialog.showModal();
    });
  } else if (element.hasAttribute("data-kameng-close")) {
    element.addEventListener("click", () => element.closest("dialog")?.close());
  } else {
    // Pressed and released on the backdrop: a selection dragged out of the dialogue does not close it.
    let pressed = false;
    element.addEventListener("pointerdown", (event) => (pressed = event.target === element && outside(element, event)));
    element.addEventListener("click", (event) => {
      if (pressed && event.target === element && outside(element, event)) element.close();
    });
    if (element.hasAttribute("data-open-now")) element.showModal();
  }
}

function outside(dialog, event) {
  const box = dialog.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}
