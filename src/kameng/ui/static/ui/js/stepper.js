// Quantity with buttons; typed values are kept within their bounds.
export function bind(group) {
  const input = group.querySelector("input");
  const buttons = group.querySelectorAll("[data-step]");
  const low = input.min === "" ? -Infinity : Number(input.min);
  const high = () => (input.max === "" ? Infinity : Number(input.max));
  const clip = (value) => Math.min(high(), Math.max(low, value));

  function mark() {
    const value = Number(input.value);
    for (const button of buttons) button.disabled = Number(button.dataset.step) < 0 ? value <= low : value >= high();
  }

  for (const button of buttons) {
    button.addEventListener("click", () => {
      input.value = clip((Number.parseInt(input.value, 10) || 0) + Number(button.dataset.step));
      input.dispatchEvent(new Event("input", { bubbles: true }));
      input.dispatchEvent(new Event("change", { bubbles: true }));
    });
  }
  input.addEventListener("change", () => {
    input.value = clip(Number.parseInt(input.value, 10) || low);
    mark();
  });
  input.addEventListener("input", mark);
  mark();
}
